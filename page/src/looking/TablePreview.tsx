/** Table of a dataset. */

import type { Preview } from "../api/types";
import { counted, numberText } from "../runs/wording";
import { type PageOf, Pages } from "./Pages";

type Table = Extract<Preview, { kind: "table" }>;

export function TablePreview({ preview, page, onPage }: { preview: Table; page: PageOf; onPage: (page: PageOf) => void }) {
  const isNumber = preview.columns.map((_, index) => preview.rows.some((row) => typeof row[index] === "number"));
  return (
    <div>
      <p>
        <b>{counted(preview.total, "row")}</b>, {counted(preview.columns.length, "column")}
      </p>
      <div className="look-wide" tabIndex={0} role="region" aria-label="Rows">
        <table className="look-table">
          <thead>
            <tr>
              {preview.columns.map((name, index) => (
                <th key={index} className={isNumber[index] ? "look-number" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {preview.rows.map((row, index) => (
              <tr key={index}>
                {row.map((value, column) => (
                  <td key={column} className={isNumber[column] ? "look-number" : ""}>
                    {value === null ? "–" : typeof value === "number" ? numberText(value) : value}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Pages page={page} count={preview.rows.length} next={preview.next_offset} noun="row" onPage={onPage} />
    </div>
  );
}
