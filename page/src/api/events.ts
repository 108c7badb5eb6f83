/** The server's events: the browser reconnects by itself and names the last event that it has seen. */

import type { ServerEvents } from "./types";

type Listener<Name extends keyof ServerEvents> = (data: ServerEvents[Name]) => void;
const listeners: { [Name in keyof ServerEvents]: Set<Listener<Name>> } = {
  document: new Set(),
  palette: new Set(),
  reset: new Set(),
  run: new Set(),
  log: new Set(),
  submission: new Set(),
};
const RETRY_MILLISECONDS = 2000;

/** Call `listener` with every event of this name; returns how to stop that. */
export function onServerEvent<Name extends keyof ServerEvents>(name: Name, listener: Listener<Name>): () => void {
  const all: Set<Listener<Name>> = listeners[name];
  all.add(listener);
  return () => all.delete(listener);
}

/**
 * Listen to the server for as long as the page is open. `onState` is told whether the server is there. After a
 * connection that was refused, a new one knows nothing of the last event; then `onState(true)` is the moment to read
 * everything again.
 */
export function openEvents(onState: (isConnected: boolean) => void): () => void {
  let source: EventSource;
  let timer: number | undefined;
  const open = (): void => {
    source = new EventSource("api/events");
    source.onopen = () => onState(true);
    source.onerror = () => {
      onState(false);
      if (source.readyState === EventSource.CLOSED) timer = window.setTimeout(open, RETRY_MILLISECONDS);
    };
    for (const name of Object.keys(listeners) as (keyof ServerEvents)[]) {
      source.addEventListener(name, (event) => {
        const data = JSON.parse((event as MessageEvent<string>).data) as never;
        for (const listener of listeners[name]) (listener as (given: unknown) => void)(data);
      });
    }
  };
  open();
  return () => {
    window.clearTimeout(timer);
    source.close();
  };
}
