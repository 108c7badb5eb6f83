/** What is told in passing: a note in a corner, and a text for screen readers. */

import { useEffect } from "react";

import { Icon } from "../shared/Icon";
import { useStore } from "../state/store";

const SHOWN_MILLISECONDS = 6000;
const SHOWN_WITH_ACTION_MILLISECONDS = 20_000;

export function Notices() {
  const notice = useStore((state) => state.notice);
  const announcement = useStore((state) => state.announcement);
  const isConnected = useStore((state) => state.isConnected);
  const { dismissNotice } = useStore.getState();
  useEffect(() => {
    if (notice === null || notice.kind === "error") return;
    const timer = window.setTimeout(
      dismissNotice,
      notice.action === undefined ? SHOWN_MILLISECONDS : SHOWN_WITH_ACTION_MILLISECONDS,
    );
    return () => window.clearTimeout(timer);
  }, [notice, dismissNotice]);
  return (
    <>
      <div className="hidden-text" role="status" aria-live="polite">
        {announcement}
      </div>
      <div className="notices" role="region" aria-label="Notices" aria-live="polite">
        {!isConnected && (
          <div className="notice error">
            <p>The designer on this machine does not answer. Changes wait until it is there again.</p>
          </div>
        )}
        {notice !== null && (
          <div className={`notice ${notice.kind}`}>
            <div className="grow">
              <p>{notice.message}</p>
              {notice.advice !== "" && <p className="quiet">{notice.advice}</p>}
            </div>
            {notice.action !== undefined && (
              <button type="button" onClick={notice.action.perform}>
                {notice.action.label}
              </button>
            )}
            <button type="button" className="icon" aria-label="Dismiss" onClick={dismissNotice}>
              <Icon name="close" />
            </button>
          </div>
        )}
      </div>
    </>
  );
}
