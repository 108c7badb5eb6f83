/** The canvas: cards, links, and what mouse, touch and keyboard do with them. */

import {
  MiniMap,
  ReactFlow,
  SelectionMode,
  type FinalConnectionState,
  type IsValidConnection,
  type OnConnectStart,
  type ReactFlowInstance,
} from "@xyflow/react";
import { useCallback, useEffect, useRef, type KeyboardEvent, type MouseEvent } from "react";

import "./canvas.css";
import { isTypedInto } from "../editing/commands";
import { endLink, removeLink, startLink, stopLink } from "../editing/linking";
import { endKey, inputName, type PortEnd } from "../editing/linkRules";
import { stateOfNode } from "../runs/states";
import { useStore } from "../state/store";
import { CanvasTools } from "./CanvasTools";
import { Dots } from "./Dots";
import { ComponentCard } from "./ComponentCard";
import { canvasElement, fitAll, focusPort, followHeight, middleOfCanvas, placeAt, READABLE_ZOOM, setFlow } from "./flowAccess";
import { linkInput, type CardNode, type Link } from "./flowNodes";
import { InputCard } from "./InputCard";
import { LinkHint } from "./LinkHint";
import { LinkLine } from "./LinkLine";
import { ContextMenu } from "./ContextMenu";
import { ReplaceLink } from "./ReplaceLink";
import { useCards } from "./useCards";

const NODE_TYPES = { component: ComponentCard, data: InputCard };
const EDGE_TYPES = { default: LinkLine };
const GRID: [number, number] = [10, 10];
const ARIA = {
  "node.a11yDescription.default":
    "Enter selects. Arrow keys move a selected card, Delete removes it. Tab goes to its ports, where Enter starts a link.",
  "edge.a11yDescription.default": "Enter selects, C takes its end to another input, Delete removes.",
};

export function Canvas() {
  const { cards, links, onNodesChange, onEdgesChange, onDragStart, onDragStop } = useCards();
  const isReadOnly = useStore((state) => state.document?.read_only !== null);
  const isLinking = useStore((state) => state.linking !== null);
  const opening = useStore((state) => state.opening);
  const isEmpty = cards.length === 0;
  // Once per pipeline: the first card of an empty one stays where it is dropped.
  useEffect(() => fitAll(READABLE_ZOOM), [opening]);
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => (holder.current === null ? undefined : followHeight(holder.current)), []);

  return (
    <div ref={holder} className="canvas-holder" onKeyDown={onCanvasKey} onDoubleClick={onDoubleClick} data-linking={isLinking}>
      <ReactFlow<CardNode, Link>
        nodes={cards}
        edges={links}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onInit={onInit}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onNodeDragStart={onDragStart}
        onNodeDragStop={(_, __, dragged) => onDragStop(dragged)}
        onSelectionDragStart={onDragStart}
        onSelectionDragStop={(_, dragged) => onDragStop(dragged)}
        onConnectStart={onConnectStart}
        onConnectEnd={onConnectEnd}
        onReconnectStart={onReconnectStart}
        onReconnect={() => undefined}
        edgesReconnectable={!isReadOnly}
        isValidConnection={isValidConnection}
        onNodeContextMenu={onNodeContextMenu}
        onEdgeContextMenu={onLinkContextMenu}
        onPaneContextMenu={onPaneContextMenu}
        onSelectionContextMenu={openMenuAt}
        onPaneClick={stopLink}
        onMoveStart={() => markMoving(true)}
        onMoveEnd={() => markMoving(false)}
        onNodeDoubleClick={() => useStore.getState().openSidePanel("details")}
        nodesDraggable={!isReadOnly}
        nodesConnectable={!isReadOnly}
        connectOnClick={false}
        connectionRadius={28}
        deleteKeyCode={null}
        multiSelectionKeyCode={["Shift", "Control", "Meta"]}
        selectionKeyCode="Shift"
        selectionMode={SelectionMode.Partial}
        zoomOnDoubleClick={false}
        minZoom={0.1}
        maxZoom={2}
        snapToGrid
        snapGrid={GRID}
        onlyRenderVisibleElements
        elevateNodesOnSelect
        elevateEdgesOnSelect
        reconnectRadius={12}
        ariaLabelConfig={ARIA}
        aria-label="Pipeline"
      >
        <Dots />
        <Overview />
        <CanvasTools />
      </ReactFlow>
      <LinkHint />
      <ContextMenu />
      <ReplaceLink />
      {isEmpty && (isReadOnly ? <ReadOnlyHint /> : <EmptyHint />)}
    </div>
  );
}

/** It is drawn anew when what its colors tell has changed. */
function Overview() {
  const run = useStore((state) => state.run);
  const faults = useStore((state) => state.document?.faults);
  const nodeClass = useCallback(
    (card: CardNode) => {
      if (inputName(card.id) !== null) return "mini-input";
      const hasFault = faults?.some((fault) => fault.node === card.id && fault.severity === "error");
      return `mini-${stateOfNode(run, card.id)?.state ?? (hasFault === true ? "faulty" : "idle")}`;
    },
    [run, faults],
  );
  return <MiniMap className="for-wide" pannable zoomable ariaLabel="Overview" nodeClassName={nodeClass} />;
}

function onInit(flow: ReactFlowInstance<CardNode, Link>): void {
  setFlow(flow);
  fitAll(READABLE_ZOOM);
}

/** While the canvas moves, what is painted is moved and not painted anew; the style sheet says how. */
function markMoving(isMoving: boolean): void {
  const holder = canvasElement()?.parentElement;
  if (holder) holder.dataset.moving = String(isMoving);
}

function ReadOnlyHint() {
  const reason = useStore((state) => state.document?.read_only ?? "");
  return (
    <div className="empty-hint">
      <p>
        <strong>This file cannot be shown on the canvas.</strong> {reason}
      </p>
      <p>
        <button type="button" onClick={() => useStore.getState().openDrawer("text")}>
          Show the YAML
        </button>
      </p>
    </div>
  );
}

function EmptyHint() {
  return (
    <div className="empty-hint">
      <p>
        <strong>An empty pipeline.</strong> Drag a component here, or double-click and type its name.
      </p>
      <p className="quiet">
        By keyboard: <kbd>A</kbd> adds, <kbd>Enter</kbd> at a port starts a link, <kbd>?</kbd> shows all keys.
      </p>
    </div>
  );
}

const isValidConnection: IsValidConnection<Link> = (connection) => {
  const { linking } = useStore.getState();
  if (linking === null) return false;
  const { source, sourceHandle, target, targetHandle } = connection;
  const end: PortEnd =
    linking.from.side === "output"
      ? { node: target, port: targetHandle ?? "", side: "input" }
      : { node: source, port: sourceHandle ?? "", side: "output" };
  return linking.problems[endKey(end)] === null;
};

const onConnectStart: OnConnectStart = (_, { nodeId, handleId, handleType }) => {
  if (nodeId === null || handleId === null || useStore.getState().linking?.isDragged === true) return;
  startLink({ node: nodeId, port: handleId, side: handleType === "source" ? "output" : "input" }, true);
};

/** An end of a link is taken away from its port; `fixed` says which end stays. */
function onReconnectStart(_: MouseEvent, link: Link, fixed: "source" | "target"): void {
  const input = linkInput(link.id);
  const output: PortEnd = { node: link.source, port: link.sourceHandle ?? "", side: "output" };
  startLink(fixed === "source" ? output : input, true, input);
}

/**
 * The end of a dragged link: at a port it is made or refused. On the empty canvas something that fits is added, and a
 * link that was there is removed.
 */
function onConnectEnd(event: globalThis.MouseEvent | TouchEvent, connection: FinalConnectionState): void {
  const { linking, setAdding } = useStore.getState();
  if (linking === null) return;
  const { toHandle } = connection;
  if (toHandle?.id) {
    endLink({ node: toHandle.nodeId, port: toHandle.id, side: toHandle.type === "source" ? "output" : "input" });
    return;
  }
  stopLink();
  const point = "changedTouches" in event ? event.changedTouches[0] : event;
  if (point === undefined) return;
  const at = { x: point.clientX, y: point.clientY };
  const under = document.elementFromPoint(at.x, at.y);
  if (under?.closest(".react-flow__node") !== null) return;
  if (linking.moved !== null) removeLink(linking.moved);
  else setAdding({ at, place: placeAt(at), fitting: [linking.from], text: "" });
}

function onDoubleClick(event: MouseEvent): void {
  if (!(event.target as Element).classList.contains("react-flow__pane")) return;
  const at = { x: event.clientX, y: event.clientY };
  useStore.getState().setAdding({ at, place: placeAt(at), fitting: [], text: "" });
}

function onNodeContextMenu(event: MouseEvent, card: CardNode): void {
  const { selected, select } = useStore.getState();
  if (!selected.includes(card.id)) select([card.id]);
  openMenuAt(event);
}

function onLinkContextMenu(event: MouseEvent, link: Link): void {
  const { select, selectLinks } = useStore.getState();
  select([]);
  selectLinks([link.id]);
  openMenuAt(event);
}

function onPaneContextMenu(event: MouseEvent | globalThis.MouseEvent): void {
  const { select, selectLinks } = useStore.getState();
  select([]);
  selectLinks([]);
  openMenuAt(event);
}

function openMenuAt(event: MouseEvent | globalThis.MouseEvent): void {
  event.preventDefault();
  useStore.getState().openMenu({ x: event.clientX, y: event.clientY });
}

/** Letters that are typed while the canvas has the focus start the search for something to add. */
function onCanvasKey(event: KeyboardEvent): void {
  const { linking, selected, selectedLinks, setAdding } = useStore.getState();
  if (event.key === "Escape" && linking !== null) {
    stopLink();
    if (!linking.isDragged) focusPort(linking.from);
    event.preventDefault();
    return;
  }
  const isLetter = /^\p{L}$/u.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey;
  const target = event.target as HTMLElement;
  // With something selected, letters are commands for it.
  const isOnPane =
    selected.length + selectedLinks.length === 0 && target.closest(".react-flow__node, button, .react-flow__edge") === null;
  if (!isLetter || isTypedInto(target) || !isOnPane || event.key.toLowerCase() === "a") return;
  event.preventDefault();
  const at = middleOfCanvas();
  setAdding({ at, place: placeAt(at), fitting: [], text: event.key });
}
