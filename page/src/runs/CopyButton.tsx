/** Button that copies a text, and says so. */

import { useState } from "react";

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    window.setTimeout(() => setCopied(false), 2000);
  };
  return (
    <button type="button" disabled={text === ""} onClick={() => void copy()}>
      <span role="status">{isCopied ? "Copied" : label}</span>
    </button>
  );
}
