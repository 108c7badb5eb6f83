/** Commands about runs, for the list of commands, the shortcuts and the menu of a node. */

import type { Command } from "../editing/commands";

export const runCommands: Command[] = [];
