/** The page: palette, canvas, details, and the drawer below them. */

import { ReactFlowProvider } from "@xyflow/react";
import { useEffect } from "react";

import { onServerEvent, openEvents } from "./api/events";
import { AddSearch } from "./canvas/AddSearch";
import { Canvas } from "./canvas/Canvas";
import { Drawer } from "./drawer/Drawer";
import { allCommands } from "./editing/allCommands";
import { commandOf, isTypedInto, perform } from "./editing/commands";
import { pasteText } from "./editing/editingCommands";
import { restoreTheme } from "./editing/viewCommands";
import { CommandList } from "./panels/CommandList";
import { ConflictDialog } from "./panels/ConflictDialog";
import { DetailsPane } from "./panels/DetailsPane";
import { MoveDocument } from "./panels/MoveDocument";
import { NewDocument } from "./panels/NewDocument";
import { Notices } from "./panels/Notices";
import { PalettePanel } from "./panels/PalettePanel";
import { Shortcuts } from "./panels/Shortcuts";
import { TopBar } from "./panels/TopBar";
import { Versions } from "./panels/Versions";
import { Welcome } from "./panels/Welcome";
import { RunServices } from "./runs/RunServices";
import { useStore } from "./state/store";

export function App() {
  useServer();
  useShortcuts();
  const hasDocument = useStore((state) => state.document !== null);
  const sidePanel = useStore((state) => state.sidePanel);
  const hasDetails = useStore((state) => state.selected.length > 0 || state.sidePanel === "details");
  return (
    <ReactFlowProvider>
      <div className="app" data-side-panel={sidePanel ?? "none"} data-details={hasDetails}>
        <TopBar />
        {hasDocument ? (
          <>
            <PalettePanel />
            <main className="canvas" aria-label="Canvas">
              <Canvas />
            </main>
            <DetailsPane />
            <Drawer />
          </>
        ) : (
          <Welcome />
        )}
      </div>
      <AddSearch />
      <CommandList />
      <Shortcuts />
      <Versions />
      <NewDocument />
      <MoveDocument />
      <ConflictDialog />
      <Notices />
      <RunServices />
    </ReactFlowProvider>
  );
}

/** Read everything at the start and after the server was away, and follow what changes. */
function useServer(): void {
  useEffect(() => {
    const { loadProject, loadPalette, setConnected, resume, reload } = useStore.getState();
    const start = async (): Promise<void> => {
      await Promise.all([loadProject(), loadPalette()]);
      const { project, path, open } = useStore.getState();
      const wanted = decodeURIComponent(window.location.hash.slice(1)) || project?.open;
      if (path === null && wanted) await open(wanted);
    };
    restoreTheme();
    void start();
    const onFocus = (): void => void loadProject(); // a workspace may be named by now, or a file be there
    window.addEventListener("focus", onFocus);
    const stops = [
      () => window.removeEventListener("focus", onFocus),
      onServerEvent("reset", () => {
        const { loadRuns, refreshRun } = useStore.getState();
        void Promise.all([loadProject(), loadPalette().then(reload), loadRuns().then(refreshRun)]);
      }),
      onServerEvent("palette", () => void loadPalette().then(reload)),
      onServerEvent("document", ({ path, version }) => {
        const state = useStore.getState();
        if (path !== state.path) void loadPalette().then(reload); // it may be a component, or one within this pipeline
        else if (version !== state.confirmed?.version || state.isGone) void reload();
        void loadProject();
      }),
      onServerEvent("moved", ({ from }) => {
        const state = useStore.getState();
        if (from === state.path) void reload().then(loadProject);
        else void Promise.all([loadProject(), state.loadRuns()]);
      }),
      onServerEvent("removed", ({ path, id }) => {
        useStore.getState().leaveRemoved(path, id);
        void loadProject();
      }),
      openEvents((isConnected) => {
        const wasConnected = useStore.getState().isConnected;
        setConnected(isConnected);
        if (isConnected && !wasConnected) void resume().then(reload);
      }),
      useStore.subscribe((state, before) => {
        if (state.path !== before.path) window.history.replaceState(null, "", `#${encodeURIComponent(state.path ?? "")}`);
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }, []);
}

function useShortcuts(): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || document.querySelector("dialog[open]") !== null) return;
      const command = commandOf(event, allCommands());
      if (command === undefined) return;
      event.preventDefault();
      perform(command);
    };
    const onPaste = (event: ClipboardEvent): void => {
      if (isTypedInto(event.target) || useStore.getState().document === null) return;
      event.preventDefault();
      void pasteText(event.clipboardData?.getData("text/plain") ?? "");
    };
    window.addEventListener("keydown", onKeyDown);
    window.addEventListener("paste", onPaste);
    return () => {
      window.removeEventListener("keydown", onKeyDown);
      window.removeEventListener("paste", onPaste);
    };
  }, []);
}
