/** All commands of the page. */

import { runCommands } from "../runs/runCommands";
import { alignmentCommands } from "./alignment";
import type { Command } from "./commands";
import { editingCommands } from "./editingCommands";
import { viewCommands } from "./viewCommands";

const all: Command[] = [...editingCommands, ...alignmentCommands, ...runCommands, ...viewCommands];

export function allCommands(): Command[] {
  return all;
}
