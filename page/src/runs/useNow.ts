/** The time in seconds, once a second for as long as something on the page goes on. */

import { useEffect, useState } from "react";

export function useNow(isGoingOn: boolean): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!isGoingOn) return;
    setNow(Date.now() / 1000);
    const timer = window.setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => window.clearInterval(timer);
  }, [isGoingOn]);
  return now;
}
