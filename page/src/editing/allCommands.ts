/** All commands of the page. */

import { runCommands } from "../runs/runCommands";
import type { Command } from "./commands";
import { editingCommands } from "./editingCommands";
import { viewCommands } from "./viewCommands";

const all: Command[] = [...editingCommands, ...runCommands, ...viewCommands];

export function allCommands(): Command[] {
  return all;
}
