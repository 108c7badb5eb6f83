/** Metrics of a node, drawn while it runs. */

import { useEffect, useMemo, useState } from "react";

import { api } from "../api/client";
import { useStore } from "../state/store";
import { numberText } from "../runs/wording";
import { MetricChart } from "./MetricChart";
import { NodeChoice } from "./NodeChoice";
import { chartsOf, type NodeMetrics, shownName, type Single } from "./series";
import { nothingText, useLookedAt } from "./useLookedAt";

const PAUSE_MILLISECONDS = 2000;

export function MetricsTab() {
  const { node } = useLookedAt();
  const run = useStore((state) => state.run?.run ?? null);
  const nothing = useStore((all) => nothingText(all, "Metrics"));
  const { metrics, problem } = useMetrics(run, node);
  const found = useMemo(() => chartsOf([{ label: "", metrics }]), [metrics]);
  if (run === null || node === null) {
    return <p className="look-empty">{nothing}</p>;
  }
  return (
    <div className="look-tab">
      <div className="look-bar">
        <NodeChoice />
      </div>
      <div className="look-scroll" tabIndex={0} role="region" aria-label={`Metrics of ${node}`}>
        {problem !== "" && <p className="run-problem">{problem}</p>}
        {problem === "" && found.charts.length + found.singles.length === 0 && (
          <Elsewhere run={run} node={node} />
        )}
        <Metrics charts={found.charts} singles={found.singles} sources={[""]} />
      </div>
    </div>
  );
}

/** That a node has no metrics, and the nodes of the run that have some. */
function Elsewhere({ run, node }: { run: string; node: string }) {
  const { choose } = useLookedAt();
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    let isOver = false;
    const read = async (): Promise<void> => {
      const { nodes } = await api.metrics(run);
      if (!isOver) setNames(Object.keys(nodes).filter((name) => Object.keys(nodes[name] ?? {}).length > 0));
    };
    read().catch(() => undefined); // they are an offer: the node can be chosen above
    return () => {
      isOver = true;
    };
  }, [run, node]);
  return (
    <div className="look-empty">
      <p>{node} has logged no metric.</p>
      {names.length > 0 && (
        <p className="row look-elsewhere">
          These have:
          {names.map((name) => (
            <button key={name} type="button" onClick={() => choose(name)}>
              {name}
            </button>
          ))}
        </p>
      )}
    </div>
  );
}

export function Metrics({ charts, singles, sources }: ReturnType<typeof chartsOf> & { sources: string[] }) {
  return (
    <>
      {singles.length > 0 && <Singles singles={singles} sources={sources} />}
      <div className="look-charts">
        {charts.map((chart) => (
          <MetricChart key={chart.title} chart={chart} />
        ))}
      </div>
    </>
  );
}

function Singles({ singles, sources }: { singles: Single[]; sources: string[] }) {
  return (
    <dl className="look-numbers">
      {singles.map(({ name, values }) => (
        <div key={name}>
          <dt>{shownName(name)}</dt>
          {values.map((value, index) => (
            <dd key={index}>
              {value === null ? "–" : numberText(value)} {sources[index] !== "" && <small>{sources[index]}</small>}
            </dd>
          ))}
        </div>
      ))}
    </dl>
  );
}

/** Metrics of one node of a run; read again every two seconds while it goes on, and once after its end. */
export function useMetrics(run: string | null, node: string | null): { metrics: NodeMetrics; problem: string } {
  const [shown, setShown] = useState<{ metrics: NodeMetrics; problem: string }>({ metrics: {}, problem: "" });
  const state = useStore((all) => (node === null || all.run?.run !== run ? undefined : all.run?.nodes[node]?.state));
  const isRunning = state === "running";
  useEffect(() => setShown({ metrics: {}, problem: "" }), [run, node]);
  useEffect(() => {
    if (run === null || node === null) return;
    let isOver = false;
    const read = async (): Promise<void> => {
      try {
        const { nodes } = await api.metrics(run, node);
        if (!isOver) setShown({ metrics: nodes[node] ?? {}, problem: "" });
      } catch (error) {
        if (!isOver) setShown({ metrics: {}, problem: error instanceof Error ? error.message : String(error) });
      }
    };
    void read();
    const timer = isRunning ? window.setInterval(() => void read(), PAUSE_MILLISECONDS) : undefined;
    return () => {
      isOver = true;
      window.clearInterval(timer);
    };
  }, [run, node, isRunning]);
  return shown;
}
