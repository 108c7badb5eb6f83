/** A thing to do, as the list of commands, the shortcuts and menus know it. */

import { useStore, type State } from "../state/store";

export type CommandGroup = "Edit" | "Add" | "View" | "Run" | "Document";
export interface Command {
  id: string;
  title: string;
  group: CommandGroup;
  /** Key names as `KeyboardEvent.key`, with "Mod" for Ctrl, or Command on a Mac: "Mod+Shift+z". Any of them. */
  keys?: string[];
  /** Whether it works while text is being typed. */
  isForTyping?: boolean;
  /** Whether its keys do something already, which the page then hears of. */
  isLeftToBrowser?: boolean;
  /** Whether it belongs in the menu of a node; it then acts on what is selected. */
  isForNodes?: boolean;
  /** Whether it belongs in the menu of several cards. */
  isForSeveral?: boolean;
  /** Whether it belongs in the menu of a link. */
  isForLinks?: boolean;
  /** Whether it belongs in the menu of the empty canvas, and acts where that menu is. */
  isForCanvas?: boolean;
  isEnabled?: (state: State) => boolean;
  /** Why it would be refused now; empty where it would not. Menus show it there, and what is merely not enabled not. */
  problem?: (state: State) => string;
  perform: (state: State) => unknown;
}

const isMac = typeof navigator !== "undefined" && /Mac|iP(hone|ad)/.test(navigator.platform);

export function isEnabled(command: Command, state: State): boolean {
  return isShown(command, state) && problemOf(command, state) === "";
}

/** Whether menus and lists have it: it can be done, or they say why not. */
export function isShown(command: Command, state: State): boolean {
  return command.isEnabled?.(state) ?? true;
}

export function problemOf(command: Command, state: State): string {
  return command.problem?.(state) ?? "";
}

export function perform(command: Command): void {
  const state = useStore.getState();
  if (isEnabled(command, state)) command.perform(state);
}

/** Keys as people write them, for example "Ctrl Shift Z". */
export function shownKeys(keys: string): string {
  const words: Record<string, string> = {
    Mod: isMac ? "⌘" : "Ctrl",
    " ": "Space",
    ArrowUp: "↑",
    ArrowDown: "↓",
    ArrowLeft: "←",
    ArrowRight: "→",
  };
  return keys
    .split(/(?<=.)\+(?=.)/) // "+" may be the key itself
    .map((key) => words[key] ?? (key.length === 1 ? key.toUpperCase() : key))
    .join(" ");
}

/** The command of these keys that fits where the focus is. */
export function commandOf(event: KeyboardEvent, commands: Command[]): Command | undefined {
  const pressed = pressedKeys(event);
  const isTyping = isTypedInto(event.target);
  return commands.find(
    (command) =>
      command.isLeftToBrowser !== true &&
      command.keys?.some((keys) => keys === pressed) === true &&
      (!isTyping || command.isForTyping === true),
  );
}

function pressedKeys(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // What Shift makes of a sign is the sign: "?" is "?", and not "Shift+?".
  const isShifted = event.shiftKey && (key.length > 1 || key !== key.toUpperCase());
  return [event.ctrlKey || event.metaKey ? "Mod" : "", event.altKey ? "Alt" : "", isShifted ? "Shift" : "", key]
    .filter((part) => part !== "")
    .join("+");
}

export function isTypedInto(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range"].includes(target.type);
}
