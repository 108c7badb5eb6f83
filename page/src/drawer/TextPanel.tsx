/** The YAML, as it is in the file. It may be edited; that is one step of undo. */

import { useEffect, useMemo, useRef, useState } from "react";

import { api } from "../api/client";
import { useStore } from "../state/store";

const LINE_HEIGHT = 18;

export function TextPanel() {
  const path = useStore((state) => state.path);
  const version = useStore((state) => state.confirmed?.version);
  const past = useStore((state) => (state.past === null ? null : (state.run?.run ?? null)));
  const faults = useStore((state) => state.document?.faults);
  const line = useStore((state) => state.textLine);
  const [text, setText] = useState("");
  const [saved, setSaved] = useState("");
  const area = useRef<HTMLTextAreaElement>(null);
  const isChanged = text !== saved;
  const changed = useRef(isChanged);
  changed.current = isChanged;
  useEffect(() => {
    if (path === null) return;
    let isCurrent = true;
    (past === null ? api.text(path) : api.runText(past))
      .then((content) => {
        if (!isCurrent) return;
        setSaved(content);
        // What is being typed is kept; the server tells when it no longer fits.
        if (!changed.current) setText(content);
      })
      .catch((error: unknown) => useStore.getState().report(error));
    return () => {
      isCurrent = false;
    };
  }, [path, version, past]);
  useEffect(() => {
    const { current } = area;
    if (line === null || current === null || text === "") return;
    const start = text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    current.focus();
    current.setSelectionRange(start, start);
    current.closest(".drawer-panel")?.scrollTo({ top: (line - 4) * LINE_HEIGHT });
    useStore.getState().setTextLine(null);
  }, [line, text]);
  const apply = async (): Promise<void> => {
    if (await useStore.getState().putText(text)) setSaved(text);
  };
  const lines = text.split("\n");
  const marked = new Map(faults?.map((fault) => [fault.line, fault]));
  const colored = useMemo(() => lines.map((each, at) => <Line key={at} text={each} />), [text]);
  return (
    <div className="text-panel">
      <div className="row text-bar">
        <span className="grow quiet small">{past === null ? path : `As it was in the run ${past}; read only.`}</span>
        {isChanged && past === null && (
          <>
            <button type="button" onClick={() => setText(saved)}>
              Discard
            </button>
            <button type="button" className="primary" onClick={() => void apply()}>
              Apply
            </button>
          </>
        )}
      </div>
      <div className="text-holder mono">
        <div className="text-numbers" aria-hidden="true">
          {lines.map((_, at) => (
            <div key={at} className={marked.has(at + 1) ? "bad" : ""} title={marked.get(at + 1)?.message}>
              {at + 1}
            </div>
          ))}
        </div>
        <div className="text-sheet">
          <pre aria-hidden="true">{colored}</pre>
          <textarea
            ref={area}
            aria-label="YAML of the pipeline"
            className="mono"
            spellCheck={false}
            readOnly={past !== null}
            autoCapitalize="off"
            wrap="off"
            value={text}
            rows={lines.length}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && isChanged) {
                event.preventDefault();
                void apply();
              }
            }}
          />
        </div>
      </div>
    </div>
  );
}

function Line({ text }: { text: string }) {
  return (
    <div className="text-line">
      {parts(text).map(([kind, part], at) => (
        <span key={at} className={`yaml-${kind}`}>
          {part}
        </span>
      ))}
      {"\n"}
    </div>
  );
}

/** A line of YAML in parts: key, value, binding, comment. Enough to read it; a parser is elsewhere. */
export function parts(line: string): [string, string][] {
  const comment = /(^|\s)#.*$/.exec(line);
  const code = comment === null ? line : line.slice(0, comment.index);
  const key = /^(\s*(?:- )?)([^\s:#][^:]*)(:)(?=\s|$)/.exec(code);
  const found: [string, string][] = [];
  let rest = code;
  if (key !== null) {
    found.push(["text", key[1] ?? ""], ["key", key[2] ?? ""], ["text", ":"]);
    rest = code.slice(key[0].length);
  }
  for (const part of rest.split(/(\$\{\{.*?\}\})/)) {
    if (part !== "") found.push([part.startsWith("${{") ? "binding" : "value", part]);
  }
  if (comment !== null) found.push(["comment", line.slice(comment.index)]);
  return found.filter(([, part]) => part !== "");
}
