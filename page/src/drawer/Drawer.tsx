/** The drawer at the bottom, with its tabs. Its upper edge is dragged, or moved with the arrow keys. */

import type { KeyboardEvent, PointerEvent } from "react";

import { focusCanvas } from "../canvas/flowAccess";
import { useStore } from "../state/store";
import type { Tab } from "./tab";
import { tabs } from "./tabs";

const STEP = 24;

export function Drawer() {
  const open = useStore((state) => state.drawerTab);
  const height = useStore((state) => state.drawerHeight);
  const openDrawer = useStore((state) => state.openDrawer);
  const tab = tabs.find(({ id }) => id === open);
  return (
    <section
      className="drawer"
      aria-label="Drawer"
      data-open={tab !== undefined}
      onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && focusCanvas()}
    >
      {tab !== undefined && <Edge />}
      <div className="drawer-bar">
        <div className="tabs" role="tablist" aria-label="Drawer" onKeyDown={onTabKey}>
          {tabs.map((each, index) => (
            <TabButton key={each.id} tab={each} isSelected={each.id === open} isFirst={index === 0 && tab === undefined} />
          ))}
        </div>
        {tab !== undefined && (
          <button type="button" className="icon" aria-label="Close drawer" onClick={() => openDrawer(null)}>
            ✕
          </button>
        )}
      </div>
      {tab !== undefined && (
        <div
          className="drawer-panel"
          role="tabpanel"
          id="drawer-panel"
          aria-labelledby={`tab-${tab.id}`}
          tabIndex={0}
          style={{ height }}
        >
          <h2 className="hidden-text">{tab.title}</h2>
          <tab.Panel />
        </div>
      )}
    </section>
  );
}

function TabButton({ tab, isSelected, isFirst }: { tab: Tab; isSelected: boolean; isFirst: boolean }) {
  const openDrawer = useStore((state) => state.openDrawer);
  const count = useStore((state) => tab.count?.(state) ?? 0);
  const isBad = useStore((state) => tab.isBad?.(state) ?? false);
  return (
    <button
      type="button"
      role="tab"
      id={`tab-${tab.id}`}
      aria-selected={isSelected}
      {...(isSelected ? { "aria-controls": "drawer-panel" } : {})}
      tabIndex={isSelected || isFirst ? 0 : -1}
      onClick={() => openDrawer(isSelected ? null : tab.id)}
    >
      {tab.title}
      {count > 0 && <span className={`count ${isBad ? "bad" : "warn"}`}>{count}</span>}
    </button>
  );
}

function onTabKey(event: KeyboardEvent<HTMLDivElement>): void {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]")];
  const next = all[(all.findIndex((tab) => tab === document.activeElement) + step + all.length) % all.length];
  next?.focus();
  event.preventDefault();
}

function Edge() {
  const height = useStore((state) => state.drawerHeight);
  const setHeight = useStore((state) => state.setDrawerHeight);
  const onPointerDown = (event: PointerEvent<HTMLDivElement>): void => {
    const edge = event.currentTarget;
    const start = event.clientY + height;
    edge.setPointerCapture(event.pointerId);
    edge.onpointermove = (move) => setHeight(Math.min(start - move.clientY, window.innerHeight * 0.8));
    edge.onpointerup = () => {
      edge.onpointermove = null;
    };
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowUp") setHeight(height + STEP);
    else if (event.key === "ArrowDown") setHeight(height - STEP);
    else return;
    event.preventDefault();
  };
  return (
    <div
      className="drawer-edge"
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the drawer"
      aria-valuenow={height}
      aria-valuemin={120}
      aria-valuemax={900}
      tabIndex={0}
      onPointerDown={onPointerDown}
      onKeyDown={onKeyDown}
    />
  );
}
