/**
 * Runs: the list, the one that the nodes show, what a run would do with each node, and what can be done about them.
 *
 * `run` is the last run of the open document, or an earlier one that is looked at (`isLookingBack`); then the canvas
 * shows the pipeline that was run.
 */

import { api, RequestError } from "../api/client";
import type { ForecastNode, Run, RunEvent, RunSelection, RunSummary } from "../api/types";
import { plural } from "../shared/words";
import type { Slice } from "../state/store";
import { announcementOf, fold, foldSummary } from "./runEvents";

export type RunDialog =
  | { kind: "faults"; node: string }
  | { kind: "sdk" }
  | { kind: "submit" }
  | { kind: "clone"; run: string };

export interface RunsSlice {
  runs: RunSummary[];
  run: Run | null;
  isLookingBack: boolean;
  forecast: Record<string, ForecastNode>;
  /** Why there is no forecast; empty where there is one. */
  forecastProblem: string;
  isStarting: boolean;
  /** The node of the run that was chosen in the drawer; see `lookedAt`. */
  chosenNode: string | null;
  runDialog: RunDialog | null;
  /** The runs that are compared, or that will be: ids of A and B. */
  compared: { a: string | null; b: string | null };
  loadRuns: () => Promise<void>;
  /** Read the last run of the open document, or the run that is shown, again. */
  refreshRun: () => Promise<void>;
  takeRunEvent: (event: RunEvent) => void;
  loadForecast: () => Promise<void>;
  startRun: (selection?: RunSelection, faults?: Record<string, string[]>) => Promise<void>;
  cancelRun: (node?: string) => Promise<void>;
  lookBackAt: (run: string) => Promise<void>;
  lookAtNow: () => Promise<void>;
  chooseNode: (node: string) => void;
  openRunDialog: (dialog: RunDialog | null) => void;
  compare: (a: string | null, b: string | null) => void;
}

export const runsSlice: Slice<RunsSlice> = (set, get) => {
  const show = async (id: string, isLookingBack: boolean): Promise<void> => {
    try {
      const run = await api.run(id);
      set({ run, isLookingBack });
    } catch (error) {
      get().report(error);
    }
  };
  const lastOfDocument = (): RunSummary | undefined => get().runs.find((run) => run.document === get().path);

  return {
    runs: [],
    run: null,
    isLookingBack: false,
    forecast: {},
    forecastProblem: "",
    isStarting: false,
    chosenNode: null,
    runDialog: null,
    compared: { a: null, b: null },
    loadRuns: async () => {
      try {
        set({ runs: (await api.runs()).runs });
      } catch (error) {
        get().report(error);
      }
    },
    refreshRun: async () => {
      await get().loadRuns();
      const { run, isLookingBack } = get();
      if (run !== null && isLookingBack) return show(run.run, true);
      const last = lastOfDocument();
      if (last === undefined) set({ run: null, isLookingBack: false });
      else await show(last.run, false);
    },
    takeRunEvent: (event) => {
      set({ runs: foldSummary(get().runs, event) });
      const { run, isLookingBack, path } = get();
      const isOfThisDocument = event.summary.document === path;
      if (event.kind === "started" && isOfThisDocument && !isLookingBack) void show(event.run, false);
      if (run === null || event.run !== run.run) return;
      const folded = fold(run, event);
      if (folded.run === run) return;
      set({ run: folded.run });
      if (folded.isStale) void show(event.run, isLookingBack);
      const announcement = announcementOf(event);
      if (announcement !== null) get().announce(announcement);
    },
    loadForecast: async () => {
      const { path, document } = get();
      if (path === null || document === null || document.nodes.length === 0) {
        return set({ forecast: {}, forecastProblem: "" });
      }
      try {
        const { nodes, problem } = await api.forecast(path);
        if (get().path === path) set({ forecast: nodes ?? {}, forecastProblem: problem });
      } catch (error) {
        if (get().path === path) set({ forecast: {}, forecastProblem: error instanceof Error ? error.message : "" });
      }
    },
    startRun: async (selection = {}, faults) => {
      if (get().isStarting) return;
      set({ isStarting: true });
      try {
        await get().resume(); // what is on the screen is what runs: edits that wait are sent before
        const { path, confirmed, waiting } = get();
        if (path === null || confirmed === null || waiting.length > 0) return;
        const errors = confirmed.faults.filter(({ severity }) => severity === "error");
        // Some keep no run from starting, such as those of disabled nodes: the server knows.
        if (errors.length > 0 && (await api.forecast(path, selection)).problem !== "") {
          get().openDrawer("problems");
          get().announce(`Nothing was run: there ${errors.length === 1 ? "is" : "are"} ${plural(errors.length, "problem")}.`);
          return;
        }
        const { run } = await api.start({
          document: path,
          version: confirmed.version,
          ...selection,
          ...(faults === undefined ? {} : { faults }),
        });
        await show(run, false);
        await get().loadRuns();
      } catch (error) {
        get().report(error);
        // The file was changed by hand a moment ago: it is shown, and the next click runs it.
        if (error instanceof RequestError && error.status === 409) await get().reload();
      } finally {
        set({ isStarting: false });
      }
    },
    cancelRun: async (node) => {
      const { run } = get();
      if (run === null) return;
      try {
        await api.cancel(run.run, node);
        get().announce(node === undefined ? "Canceling the run." : `Canceling ${node}.`);
      } catch (error) {
        get().report(error);
      }
    },
    lookBackAt: async (id) => {
      const { notify, report, showPast } = get();
      try {
        const [run, past] = await Promise.all([api.run(id), api.runPipeline(id)]);
        // What is on the screen is what has run last: nothing else needs to be shown.
        const isNow = lastOfDocument()?.run === id && past?.version === get().confirmed?.version;
        set({ run, isLookingBack: !isNow });
        showPast(isNow ? null : past);
        if (past === null) notify("The pipeline of this run was not kept: the canvas shows the file as it is now.");
      } catch (error) {
        report(error);
      }
    },
    lookAtNow: async () => {
      if (get().isLookingBack) get().showPast(null);
      set({ isLookingBack: false });
      await get().refreshRun();
    },
    chooseNode: (chosenNode) => set({ chosenNode }),
    openRunDialog: (runDialog) => set({ runDialog }),
    compare: (a, b) => {
      set({ compared: { a, b } });
      get().openDrawer("compare");
    },
  };
};
