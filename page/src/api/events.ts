/**
 * The server's events. A browser allows six connections to a server that are open for long, for all of its tabs
 * together. So one tab listens, and tells the others what it hears; when it is closed, the next one takes over.
 */

import type { ServerEvents } from "./types";

type Name = keyof ServerEvents;
type Listener<Event extends Name> = (data: ServerEvents[Event]) => void;
/** What the tab that listens tells the others: an event, or whether the server is there. */
type Told = { name: Name; data: unknown } | { isConnected: boolean };

const listeners: { [Event in Name]: Set<Listener<Event>> } = {
  document: new Set(),
  moved: new Set(),
  removed: new Set(),
  palette: new Set(),
  reset: new Set(),
  run: new Set(),
  log: new Set(),
  submission: new Set(),
};
const RETRY_MILLISECONDS = 2000;
const CHANNEL = "events of the server";

/** Call `listener` with every event of this name; returns how to stop that. */
export function onServerEvent<Event extends Name>(name: Event, listener: Listener<Event>): () => void {
  const all: Set<Listener<Event>> = listeners[name];
  all.add(listener);
  return () => all.delete(listener);
}

/**
 * Follow the server for as long as the page is open. `onState` is told whether the server is there. After a connection
 * that was refused, a new one knows nothing of the last event; then `onState(true)` is the moment to read everything
 * again. Who takes over from a tab that was closed may have missed something, too: all tabs are told `reset`.
 */
export function openEvents(onState: (isConnected: boolean) => void): () => void {
  const channel = new BroadcastChannel(CHANNEL);
  const ended = new AbortController();
  const take = (told: Told): void => {
    if ("isConnected" in told) return onState(told.isConnected);
    for (const listener of listeners[told.name]) (listener as (data: unknown) => void)(told.data);
  };
  const tell = (told: Told): void => {
    take(told);
    channel.postMessage(told);
  };
  channel.onmessage = ({ data }: MessageEvent<Told>) => take(data);
  let isFirst = false;
  const listen = (lock: Lock | null): Promise<void> | undefined => {
    if (lock === null) return; // another tab listens
    isFirst = true;
    return follow(tell, false, ended.signal);
  };
  void navigator.locks.request(CHANNEL, { ifAvailable: true }, listen).then(async () => {
    if (isFirst || ended.signal.aborted) return;
    const takeOver = (): Promise<void> => follow(tell, true, ended.signal);
    await navigator.locks.request(CHANNEL, { signal: ended.signal }, takeOver).catch(() => undefined); // never its turn
  });
  return () => {
    ended.abort();
    channel.close();
  };
}

/** Hold the stream of events until the signal, and tell what comes. */
function follow(tell: (told: Told) => void, isTakenOver: boolean, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let source: EventSource;
    let timer: number | undefined;
    let hasMissed = isTakenOver;
    const open = (): void => {
      source = new EventSource("api/events");
      source.onopen = () => {
        tell({ isConnected: true });
        if (hasMissed) tell({ name: "reset", data: {} });
        hasMissed = false;
      };
      source.onerror = () => {
        tell({ isConnected: false });
        if (source.readyState === EventSource.CLOSED) timer = window.setTimeout(open, RETRY_MILLISECONDS);
      };
      for (const name of Object.keys(listeners) as Name[]) {
        source.addEventListener(name, (event) => {
          tell({ name, data: JSON.parse((event as MessageEvent<string>).data) });
        });
      }
    };
    open();
    ended.addEventListener("abort", () => {
      window.clearTimeout(timer);
      source.close();
      resolve();
    });
  });
}
