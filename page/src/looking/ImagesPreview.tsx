/** Directory of images: its classes with their counts, and a grid of pictures. */

import type { Preview } from "../api/types";
import { counted, countText } from "../runs/wording";
import { type PageOf, Pages } from "./Pages";

type Images = Extract<Preview, { kind: "images" }>;

export function ImagesPreview({ preview, page, onPage }: { preview: Images; page: PageOf; onPage: (page: PageOf) => void }) {
  const most = Math.max(...preview.classes.map(({ count }) => count), 1);
  const chosen = page.class ?? "";
  return (
    <div className="look-images">
      <p>
        <b>{counted(preview.total, "image")}</b>
        {preview.classes.length > 0 && ` in ${counted(preview.classes.length, "class", "classes")}`}
        <span className="quiet"> · {preview.directory_type}</span>
      </p>
      {preview.classes.length > 0 && (
        <div className="look-classes" role="group" aria-label="Classes">
          <ClassButton name="all" count={preview.total} share={0} isChosen={chosen === ""} onChoose={() => onPage({})} />
          {preview.classes.map(({ name, count }) => (
            <ClassButton
              key={name}
              name={name}
              count={count}
              share={count / most}
              isChosen={chosen === name}
              onChoose={() => onPage({ class: name })}
            />
          ))}
        </div>
      )}
      <ul className="look-grid">
        {preview.images.map((image) => (
          <li key={image.name}>
            <img src={image.thumbnail} alt={`${image.label ?? "Image"}: ${image.name}`} loading="lazy" decoding="async" />
            <span title={image.name}>{image.label ?? image.name}</span>
          </li>
        ))}
      </ul>
      <Pages page={page} count={preview.images.length} next={preview.next_offset} noun="image" onPage={onPage} />
    </div>
  );
}

function ClassButton(props: { name: string; count: number; share: number; isChosen: boolean; onChoose: () => void }) {
  return (
    <button type="button" className="look-class" aria-pressed={props.isChosen} onClick={props.onChoose}>
      <span className="look-bar-fill" style={{ width: `${props.share * 100}%` }} aria-hidden="true" />
      <span className="cut">{props.name}</span> <b>{countText(props.count)}</b>
    </button>
  );
}
