/** A part of a pane, which folds. */

export function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <details className="pane-section" open>
      <summary>
        <h3>{title}</h3>
      </summary>
      <div className="stack wide">{children}</div>
    </details>
  );
}
