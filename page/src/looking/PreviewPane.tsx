/** Preview of data, by what it is. */

import { useCallback, useEffect, useState } from "react";

import { RequestError } from "../api/client";
import type { Preview } from "../api/types";
import { sizeText } from "../runs/wording";
import { ImagesPreview } from "./ImagesPreview";
import type { PageOf } from "./Pages";
import { shownName } from "./series";
import { TablePreview } from "./TablePreview";

export function PreviewPane({ read }: { read: (page: PageOf) => Promise<Preview> }) {
  const [page, setPage] = useState<PageOf>({});
  const [shown, setShown] = useState<{ preview: Preview | null; problem: string }>({ preview: null, problem: "" });
  useEffect(() => {
    let isOver = false;
    read(page).then(
      (preview) => !isOver && setShown({ preview, problem: "" }),
      (error: unknown) => !isOver && setShown({ preview: null, problem: problemText(error) }),
    );
    return () => {
      isOver = true;
    };
    // What is read belongs to the place, which has a key of its own.
  }, [page]);
  const turn = useCallback((next: PageOf) => setPage(next), []);
  if (shown.problem !== "") return <p className="run-problem">{shown.problem}</p>;
  if (shown.preview === null) return <p className="look-empty" role="status">Reading</p>;
  return <Shown preview={shown.preview} page={page} onPage={turn} />;
}

function Shown({ preview, page, onPage }: { preview: Preview; page: PageOf; onPage: (page: PageOf) => void }) {
  switch (preview.kind) {
    case "images":
      return <ImagesPreview preview={preview} page={page} onPage={onPage} />;
    case "table":
      return <TablePreview preview={preview} page={page} onPage={onPage} />;
    case "model":
      return (
        <div className="look-model">
          <Facts facts={preview.facts} />
          {preview.report !== null && <Report url={preview.report} />}
        </div>
      );
    case "report":
      return (
        <div className="look-model">
          <Report url={preview.url} />
          <Facts facts={preview.facts} />
        </div>
      );
    case "transformation":
      return (
        <ol className="look-steps">
          {preview.steps.map((step, index) => (
            <li key={index}>{step}</li>
          ))}
        </ol>
      );
    case "files":
      return <Files files={preview.files} />;
    case "text":
      return (
        <>
          <pre className="run-code">{preview.text}</pre>
          {preview.truncated && <p className="quiet">Only the beginning is shown.</p>}
        </>
      );
    case "missing":
      return <p className="look-empty">{preview.message}</p>;
  }
}

function Facts({ facts }: { facts: [string, string][] }) {
  // "scored_dataset.accuracy": what all names begin with tells nothing.
  const start = facts[0]?.[0].split(".")[0] ?? "";
  const isShared = facts.length > 1 && facts.every(([name]) => name.startsWith(`${start}.`));
  return (
    <dl className="look-factlist">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{shownName(isShared ? name.slice(start.length + 1) : name)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A page that a component has written: in a frame without scripts, forms and access to this page. */
function Report({ url }: { url: string }) {
  return (
    <div className="look-report">
      <a href={url} target="_blank" rel="noreferrer noopener">
        Open the report in a tab
      </a>
      <iframe src={url} sandbox="" title="Report" />
    </div>
  );
}

function Files({ files }: { files: { name: string; size: number; url: string }[] }) {
  if (files.length === 0) return <p className="look-empty">The folder is empty.</p>;
  return (
    <table className="look-table">
      <thead>
        <tr>
          <th>File</th>
          <th className="look-number">Size</th>
        </tr>
      </thead>
      <tbody>
        {files.map((file) => (
          <tr key={file.name}>
            <td>
              <a href={file.url} target="_blank" rel="noreferrer noopener">
                {file.name}
              </a>
            </td>
            <td className="look-number">{sizeText(file.size)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function problemText(error: unknown): string {
  return error instanceof RequestError ? `${error.error.message} ${error.error.advice}` : String(error);
}
