/** Two runs side by side: what went in, what came out, and what differs. */

import { useEffect, useMemo, useState } from "react";

import { api } from "../api/client";
import type { ComparisonRow, RunSummary } from "../api/types";
import { Metrics } from "../looking/MetricsTab";
import { PreviewPane } from "../looking/PreviewPane";
import { chartsOf, type NodeMetrics } from "../looking/series";
import { useStore } from "../state/store";
import { comparedText, differenceText, groupRows } from "./comparison";
import { lookOf } from "./states";
import { clockText, counted } from "./wording";

export function CompareTab() {
  const runs = useStore((state) => state.runs);
  const compared = useStore((state) => state.compared);
  const compare = useStore((state) => state.compare);
  const a = compared.a ?? runs[1]?.run ?? null;
  const b = compared.b ?? runs[0]?.run ?? null;
  if (runs.length < 2) return <p className="look-empty">Two runs are needed to compare; there {runs.length === 1 ? "is one" : "is none"}.</p>;
  return (
    <div className="look-tab">
      <div className="look-bar">
        <RunChoice label="A" runs={runs} value={a} onChoose={(run) => compare(run, b)} />
        <RunChoice label="B" runs={runs} value={b} onChoose={(run) => compare(a, run)} />
        <button type="button" onClick={() => compare(b, a)} title="Exchange A and B">
          A ⇄ B
        </button>
      </div>
      {a !== null && b !== null && <Comparison key={`${a} ${b}`} a={a} b={b} />}
    </div>
  );
}

function RunChoice(props: { label: string; runs: RunSummary[]; value: string | null; onChoose: (run: string) => void }) {
  return (
    <label className="look-run">
      <b>{props.label}</b>
      <select value={props.value ?? ""} onChange={(event) => props.onChoose(event.target.value)}>
        {props.runs.map((run) => (
          <option key={run.run} value={run.run}>
            {clockText(run.started)} · {run.name} · {lookOf(run.state).word}
          </option>
        ))}
      </select>
    </label>
  );
}

function Comparison({ a, b }: { a: string; b: string }) {
  const [rows, setRows] = useState<ComparisonRow[] | null>(null);
  const [problem, setProblem] = useState("");
  const [search, setSearch] = useState("");
  const [isDifferent, setDifferent] = useState(true);
  const [looked, setLooked] = useState<{ node: string; port: string } | null>(null);
  useEffect(() => {
    api.compare(a, b).then(
      (found) => setRows(found.rows),
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  }, [a, b]);
  const groups = useMemo(() => groupRows(rows ?? [], search, isDifferent), [rows, search, isDifferent]);
  const numDiffering = rows?.filter((row) => row.differs && row.kind !== "duration").length ?? 0;
  if (problem !== "") return <p className="run-problem">{problem}</p>;
  if (rows === null) return <p className="look-empty" role="status">Comparing</p>;
  return (
    <>
      <div className="look-bar">
        <input
          type="search"
          placeholder="Search"
          aria-label="Search the comparison by node or name"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <label className="look-check">
          <input type="checkbox" checked={isDifferent} onChange={(event) => setDifferent(event.target.checked)} /> only
          differences
        </label>
        <span className="quiet" role="status">
          {a === b ? "A and B are the same run" : `${counted(numDiffering, "difference")} beside durations`}
        </span>
      </div>
      <div className="look-scroll" tabIndex={0} role="region" aria-label="Comparison">
        {groups.length === 0 && <p className="look-empty">{search === "" ? "Nothing differs." : "Nothing is like this."}</p>}
        {groups.length > 0 && (
          <table className="look-table look-compared">
            <thead>
              <tr>
                <th>Node</th>
                <th>Name</th>
                <th className="look-number">A</th>
                <th className="look-number">B</th>
                <th className="look-number">Change</th>
              </tr>
            </thead>
            {groups.map((group) => (
              <tbody key={group.kind}>
                <tr>
                  <th colSpan={5} scope="rowgroup" className="look-group">
                    {group.title}
                  </th>
                </tr>
                {group.rows.map((row) => (
                  <Row
                    key={`${row.node} ${row.name}`}
                    row={row}
                    onLook={() => row.node !== null && setLooked({ node: row.node, port: row.name })}
                  />
                ))}
              </tbody>
            ))}
          </table>
        )}
        {looked !== null && <BothOutputs a={a} b={b} {...looked} />}
        <BothCurves a={a} b={b} />
      </div>
    </>
  );
}

function Row({ row, onLook }: { row: ComparisonRow; onLook: () => void }) {
  return (
    <tr data-differs={row.differs}>
      <td>{row.node ?? (row.kind === "input" ? "" : "whole run")}</td>
      <td>
        {row.name}
        {row.kind === "output" && (
          <button type="button" className="run-link look-both" onClick={onLook}>
            look at both
          </button>
        )}
      </td>
      <td className="look-number">{comparedText(row, "a")}</td>
      <td className="look-number">{comparedText(row, "b")}</td>
      <td className="look-number look-change">{differenceText(row)}</td>
    </tr>
  );
}

function BothOutputs({ a, b, node, port }: { a: string; b: string; node: string; port: string }) {
  return (
    <section className="look-pair" aria-label={`${node}, ${port}, of both runs`}>
      {[a, b].map((run, index) => (
        <div key={run}>
          <h3>
            {index === 0 ? "A" : "B"} · {node}, {port}
          </h3>
          <PreviewPane key={`${run} ${node} ${port}`} read={(page) => api.output(run, node, port, page)} />
        </div>
      ))}
    </section>
  );
}

/** Curves of both runs in the same charts, for each node that has some. */
function BothCurves({ a, b }: { a: string; b: string }) {
  const [both, setBoth] = useState<Record<string, NodeMetrics>[]>([]);
  useEffect(() => {
    Promise.all([api.metrics(a), api.metrics(b)]).then(
      (found) => setBoth(found.map(({ nodes }) => nodes)),
      () => setBoth([]), // the rows tell the values, and why there are none
    );
  }, [a, b]);
  const nodes = [...new Set(both.flatMap((metrics) => Object.keys(metrics)))];
  const found = nodes.map((node) => ({
    node,
    charts: chartsOf(both.map((metrics, index) => ({ label: index === 0 ? "A" : "B", metrics: metrics[node] ?? {} }))).charts,
  }));
  return found
    .filter(({ charts }) => charts.length > 0)
    .map(({ node, charts }) => (
      <section key={node}>
        <h3 className="look-heading">{node}</h3>
        <Metrics charts={charts} singles={[]} sources={["A", "B"]} />
      </section>
    ));
}
