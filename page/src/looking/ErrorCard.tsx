/** Named error of a node: what is wrong, where, and what to do about it. */

import type { NodeState } from "../api/types";
import { CopyButton } from "../runs/CopyButton";

export function ErrorCard({ node, state, onShow }: { node: string; state: NodeState; onShow: () => void }) {
  const { error } = state;
  if (error === null) return null;
  const title = [error.name, error.code].filter(Boolean).join(" · ") || "Error";
  const all = [`${node}: ${title}`, error.message, error.where, ...error.examples, error.advice].filter(Boolean).join("\n");
  return (
    <section className="look-card" aria-label={`Error of ${node}`}>
      <h3>
        {title}
        {state.exit_code !== null && <span> · exit code {state.exit_code}</span>}
      </h3>
      <p className="look-message">{error.message}</p>
      {error.advice !== "" && (
        <p className="look-advice">
          <span className="look-label">What to do</span> {error.advice}
        </p>
      )}
      {error.where && (
        <p>
          <span className="look-label">Where</span> <code>{error.where}</code>
        </p>
      )}
      {error.examples.length > 0 && (
        <p>
          <span className="look-label">For example</span> <code>{error.examples.join(", ")}</code>
        </p>
      )}
      <div className="look-card-actions">
        {state.log_files.length > 0 && (
          <button type="button" onClick={onShow}>
            Show it in the log
          </button>
        )}
        <CopyButton text={all} label="Copy the error" />
      </div>
    </section>
  );
}
