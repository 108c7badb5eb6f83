/** All keys, as a table (?). */

import { allCommands } from "../editing/allCommands";
import { shownKeys } from "../editing/commands";
import { Dialog } from "../shared/Dialog";
import { useStore } from "../state/store";

const ON_THE_CANVAS: [string[], string][] = [
  [["Tab"], "To the next card, port or link"],
  [["Enter"], "On a card: select. On a port: start or end a link"],
  [["↑ ↓ ← →"], "Move what is selected; while a link is drawn: to the next port that fits"],
  [["Letters"], "On the empty canvas: search for a component to add"],
  [["Double click"], "Search for a component to add there"],
  [["Shift drag"], "Select what lies in a frame"],
  [["Shift click"], "Select one more"],
  [["Right click"], "Menu of a card, a link or the canvas"],
  [["Escape"], "Stop what was begun"],
];

export function Shortcuts() {
  const isOpen = useStore((state) => state.dialog === "shortcuts");
  const rows = allCommands().filter((command) => command.keys !== undefined);
  return (
    <Dialog title="Keyboard shortcuts" isOpen={isOpen} onClose={() => useStore.getState().openDialog(null)}>
      <div className="dialog-body shortcuts" tabIndex={0} role="region" aria-label="Keys">
        <h3>On the canvas</h3>
        <Table rows={ON_THE_CANVAS} />
        <h3>Everywhere</h3>
        <Table rows={rows.map(({ keys = [], title }) => [keys.map(shownKeys), title])} />
      </div>
    </Dialog>
  );
}

function Table({ rows }: { rows: [string[], string][] }) {
  return (
    <dl className="keys">
      {rows.map(([keys, title]) => (
        <div key={title}>
          <dt>
            {keys.map((each) => (
              <kbd key={each}>{each}</kbd>
            ))}
          </dt>
          <dd>{title}</dd>
        </div>
      ))}
    </dl>
  );
}
