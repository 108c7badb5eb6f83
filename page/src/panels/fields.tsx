/** Fields whose text is written when typing pauses, at Enter, and when the field is left: one step of undo each time. */

import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

export const PAUSE_MILLISECONDS = 600;

interface TextProps {
  label: string;
  value: string;
  /** Why a text cannot be written, or null. A text with a problem is written only when the field is left. */
  problemOf?: (text: string) => string | null;
  /** A second opinion on what the first takes; it may take a moment. */
  checkWith?: (text: string) => Promise<string | null>;
  /** Whether a text with a problem is written in the end, or the former one comes back. */
  keepsProblems?: boolean;
  onWrite: (text: string) => void;
  /** Whether it is written while typing, or only at Enter and when the field is left. */
  isWrittenWhileTyping?: boolean;
  id?: string;
  placeholder?: string;
  isLong?: boolean;
  isDisabled?: boolean;
  className?: string;
  help?: ReactNode;
  isLabelHidden?: boolean;
  beside?: ReactNode;
  inputMode?: "decimal" | "numeric" | "text";
  suggestions?: string[];
}

export function TextField(props: TextProps) {
  const { label, value, onWrite, isWrittenWhileTyping = true, keepsProblems = false } = props;
  const [text, setText] = useState(value);
  const [checked, setChecked] = useState<{ text: string; problem: string | null } | null>(null);
  const isFocused = useRef(false);
  const timer = useRef<number | undefined>(undefined);
  const written = useRef(value);
  // Whether something was typed since the last write: nothing else is ever written, whatever the value becomes.
  const hasDraft = useRef(false);
  const latest = useRef({ text, onWrite });
  latest.current = { text, onWrite };
  const helpId = useId();
  useEffect(() => {
    written.current = value;
    if (!isFocused.current || !hasDraft.current || latest.current.text === "") setText(value);
  }, [value]);
  // What was typed and not yet written is not lost when something else is selected.
  useEffect(() => () => void (timer.current !== undefined && write(latest.current.text)), []);

  const first = props.problemOf?.(text) ?? null;
  const problem = first ?? (checked?.text === text ? checked.problem : null);
  useEffect(() => {
    const { checkWith } = props;
    if (checkWith === undefined || first !== null || text === value) return;
    let isCurrent = true;
    const waiting = window.setTimeout(() => {
      void checkWith(text).then((found) => isCurrent && setChecked({ text, problem: found }));
    }, 150);
    return () => {
      isCurrent = false;
      window.clearTimeout(waiting);
    };
  }, [text, value, first]);

  const write = (content: string): void => {
    window.clearTimeout(timer.current);
    timer.current = undefined;
    const isNew = hasDraft.current && content !== written.current;
    hasDraft.current = false;
    if (!isNew) return;
    written.current = content;
    latest.current.onWrite(content);
  };
  const finish = (): void => {
    if (problem !== null && !keepsProblems) {
      window.clearTimeout(timer.current);
      timer.current = undefined;
      hasDraft.current = false;
      setText(written.current);
    } else write(text);
  };
  const onChange = (content: string): void => {
    hasDraft.current = true;
    setText(content);
    window.clearTimeout(timer.current);
    timer.current = undefined;
    if (isWrittenWhileTyping && (props.problemOf?.(content) ?? null) === null) {
      timer.current = window.setTimeout(() => write(content), PAUSE_MILLISECONDS);
    }
  };
  const id = props.id ?? `${helpId}-input`;
  const shared = {
    id,
    value: text,
    disabled: props.isDisabled,
    placeholder: props.placeholder,
    spellCheck: false,
    "aria-invalid": problem !== null,
    "aria-describedby": helpId,
    ...(props.isLabelHidden === true ? { "aria-label": label } : {}),
    onFocus: () => {
      isFocused.current = true;
    },
    onBlur: () => {
      isFocused.current = false;
      finish();
    },
  };
  const listId = `${helpId}-list`;
  const control =
    props.isLong === true ? (
      <textarea rows={Math.min(8, text.split("\n").length + 1)} {...shared} onChange={(event) => onChange(event.target.value)} />
    ) : (
      <input
        type="text"
        inputMode={props.inputMode}
        list={props.suggestions === undefined ? undefined : listId}
        {...shared}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event: KeyboardEvent) => {
          if (event.key === "Enter") finish();
          if (event.key === "Escape" && text !== written.current) {
            hasDraft.current = false;
            setText(written.current);
            event.stopPropagation();
          }
        }}
      />
    );
  return (
    <div className={`field ${props.className ?? ""}`} data-field={label}>
      {props.isLabelHidden === true ? (
        control
      ) : (
        <>
          <div className="field-head">
            <label className="grow" htmlFor={id}>
              {label}
            </label>
            {props.beside}
          </div>
          {control}
        </>
      )}
      {props.suggestions !== undefined && (
        <datalist id={listId}>
          {props.suggestions.map((suggestion) => (
            <option key={suggestion} value={suggestion} />
          ))}
        </datalist>
      )}
      <div id={helpId}>
        {problem !== null && (
          <p className="bad small field-problem" role="alert">
            {problem}
          </p>
        )}
        {props.help}
      </div>
    </div>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: { value: string; label: string; group?: string }[];
  onChange: (value: string) => void;
  isDisabled?: boolean;
  isLabelHidden?: boolean;
  help?: ReactNode;
  className?: string;
}

export function SelectField({ label, value, options, onChange, isDisabled, isLabelHidden, help, className = "" }: SelectProps) {
  const id = useId();
  const groups = [...new Set(options.map(({ group }) => group ?? ""))];
  const of = (group: string) =>
    options
      .filter((option) => (option.group ?? "") === group)
      .map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ));
  return (
    <div className={`field ${className}`} data-field={label}>
      {isLabelHidden !== true && (
        <div className="field-head">
          <label htmlFor={id}>{label}</label>
        </div>
      )}
      <select
        id={id}
        value={value}
        disabled={isDisabled}
        {...(isLabelHidden === true ? { "aria-label": label } : {})}
        onChange={(event) => onChange(event.target.value)}
      >
        {groups.map((group) =>
          group === "" ? (
            of(group)
          ) : (
            <optgroup key={group} label={group}>
              {of(group)}
            </optgroup>
          ),
        )}
      </select>
      {help}
    </div>
  );
}
