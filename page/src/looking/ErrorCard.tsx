/** Named error of a node: what is wrong, where, and what to do about it. */

import type { NodeState } from "../api/types";
import { CopyButton } from "../runs/CopyButton";

export function ErrorCard({ node, state, onShow }: { node: string; state: NodeState; onShow: () => void }) {
  const { error } = state;
  if (error === null) return null;
  const all = [`${node}: ${error.code}`, error.message, error.where, error.advice].filter(Boolean).join("\n");
  return (
    <section className="look-card" aria-label={`Error of ${node}`}>
      <h3>
        {[error.code, error.reason].filter(Boolean).join(" · ") || "Error"}
        {state.exit_code !== null && <span> · exit code {state.exit_code}</span>}
      </h3>
      <p className="look-message">{error.message}</p>
      {error.where !== "" && error.where !== null && (
        <p>
          <span className="look-label">Where</span> <code>{error.where}</code>
        </p>
      )}
      {error.advice !== "" && error.advice !== null && (
        <p className="look-advice">
          <span className="look-label">What to do</span> {error.advice}
        </p>
      )}
      <div className="row">
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
