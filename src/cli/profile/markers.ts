// Words by which both ends of a connection know each other's messages among what a login shell may print.

/** Before the report, on stdout. */
export const reportMarker = "ADDERNET-REPORT";
/** When everything has arrived, on stderr. */
export const startMarker = "ADDERNET-START";
/** On stderr, followed by the version found. */
export const oldNodeMarker = "ADDERNET-OLD-NODE";
export const noNodeMarker = "ADDERNET-NO-NODE";
