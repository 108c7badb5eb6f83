/** The bar at the top: which document, whether it is saved, undo and redo, runs, everything else. */

import { allCommands } from "../editing/allCommands";
import { isEnabled, isShown, perform, problemOf, shownKeys, type Command, type CommandGroup } from "../editing/commands";
import { RunControls } from "../runs/RunControls";
import { Icon, type IconName } from "../shared/Icon";
import { Menu } from "../shared/Menu";
import { savingState } from "../state/documentSlice";
import { PathName } from "../shared/PathName";
import { useStore } from "../state/store";

const DOCUMENT_ITEMS = ["copy-document", "rename-document", "delete-document"];
const GROUPS: CommandGroup[] = ["Document", "Edit", "View"];

export function TopBar() {
  const hasDocument = useStore((state) => state.document !== null);
  const undo = useStore((state) => state.document?.undo) ?? "";
  const redo = useStore((state) => state.document?.redo) ?? "";
  const path = useStore((state) => state.path);
  return (
    <header className="topbar">
      {path !== null && <h1 className="hidden-text">Pipeline {path}</h1>}
      {hasDocument && <PanelButton panel="palette" label="Components" icon="palette" />}
      <DocumentMenu />
      {hasDocument && (
        <>
          <Saved />
          <div className="row tight">
            <CommandButton id="undo" icon="undo" detail={undo} />
            <CommandButton id="redo" icon="redo" detail={redo} className="icon for-wide" />
          </div>
        </>
      )}
      <span className="grow" />
      {hasDocument && <RunControls />}
      <MoreMenu />
      {hasDocument && <PanelButton panel="details" label="Details" icon="details" />}
    </header>
  );
}

function DocumentMenu() {
  const document = useStore((state) => state.document);
  const project = useStore((state) => state.project);
  const path = useStore((state) => state.path);
  const { open, openDialog, close } = useStore.getState();
  const face = (
    <>
      <Icon name="branch" />
      <span className="cut document-name">{path === null ? (project?.name ?? "Designer") : <PathName path={path} />}</span>
      <Icon name="down" />
    </>
  );
  return (
    <Menu label={`Pipelines of this folder${path === null ? "" : `, open is ${path}`}`} face={face} className="plain document-menu">
      {project?.documents.map((each) => (
        <button key={each.path} type="button" role="menuitem" tabIndex={-1} onClick={() => void open(each.path)}>
          <span className="cut">{each.path === path ? <strong><PathName path={each.path} /></strong> : <PathName path={each.path} />}</span>
          <span className="quiet small">{each.num_nodes}</span>
        </button>
      ))}
      {project !== null && project.documents.length > 0 && <hr />}
      <button type="button" role="menuitem" tabIndex={-1} onClick={() => openDialog("new-document")}>
        New pipeline
      </button>
      {document !== null && (
        <>
          <DocumentItems />
          <button type="button" role="menuitem" tabIndex={-1} onClick={close}>
            Start page
          </button>
        </>
      )}
    </Menu>
  );
}

/** What is done with the file of the open pipeline, or why it cannot be. */
function DocumentItems() {
  return allCommands()
    .filter(({ id }) => DOCUMENT_ITEMS.includes(id))
    .map((command) => <CommandItem key={command.id} command={command} />);
}

function CommandItem({ command }: { command: Command }) {
  const problem = problemOf(command, useStore.getState());
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      aria-disabled={problem !== ""}
      onClick={() => perform(command)}
    >
      <WithProblem title={command.title} problem={problem} />
      {command.keys?.[0] !== undefined && <kbd className="for-wide">{shownKeys(command.keys[0])}</kbd>}
    </button>
  );
}

function WithProblem({ title, problem }: { title: string; problem: string }) {
  if (problem === "") return title;
  return (
    <span className="stack tight with-problem">
      <span>{title}</span>
      <small>{problem}</small>
    </span>
  );
}

function Saved() {
  const saving = useStore(savingState);
  const readOnly = useStore((state) => state.document?.read_only ?? null);
  const words = { saved: "Saved", saving: "Saving", offline: "Waiting for the server", gone: "No file" }[saving];
  return (
    <button
      type="button"
      className="plain saved"
      data-state={saving}
      title={readOnly ?? "Every change is written to the file at once. Here are its earlier versions."}
      aria-label={`${readOnly === null ? words : "Read only"}. Versions`}
      onClick={() => useStore.getState().openDialog("versions")}
    >
      <span className="saved-dot" aria-hidden="true" />
      <span className="for-wide" aria-hidden="true">
        {readOnly === null ? words : "Read only"}
      </span>
    </button>
  );
}

function CommandButton({ id, icon, detail, className = "icon" }: { id: string; icon: IconName; detail: string; className?: string }) {
  const command = allCommands().find((each) => each.id === id) as Command;
  const enabled = useStore((state) => isEnabled(command, state));
  const keys = command.keys?.[0] === undefined ? "" : ` (${shownKeys(command.keys[0])})`;
  const title = `${command.title}${detail === "" ? "" : `: ${detail}`}`;
  return (
    <button type="button" className={className} aria-label={title} title={`${title}${keys}`} disabled={!enabled} onClick={() => perform(command)}>
      <Icon name={icon} />
    </button>
  );
}

function PanelButton({ panel, label, icon }: { panel: "palette" | "details"; label: string; icon: IconName }) {
  const isOpen = useStore((state) => state.sidePanel === panel);
  const { openSidePanel } = useStore.getState();
  return (
    <button
      type="button"
      className={panel === "palette" ? "icon for-narrow" : "icon"}
      aria-label={label}
      title={label}
      aria-expanded={isOpen}
      onClick={() => openSidePanel(isOpen ? null : panel)}
    >
      <Icon name={icon} />
    </button>
  );
}

function MoreMenu() {
  return (
    <Menu label="More" face={<Icon name="menu" />} className="icon" side="right">
      <MoreItems />
    </Menu>
  );
}

function MoreItems() {
  const state = useStore.getState();
  return GROUPS.map((group, index) => (
    <div key={group} role="group" aria-label={group}>
      {index > 0 && <hr />}
      {allCommands()
        .filter((command) => command.group === group && command.isForNodes !== true && isShown(command, state))
        .map((command) => (
          <CommandItem key={command.id} command={command} />
        ))}
    </div>
  ));
}
