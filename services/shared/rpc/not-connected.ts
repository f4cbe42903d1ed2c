/** The `reason` of a SERVICE_UNREACHABLE whose call never left this process, so that the service cannot have seen it. */
export const NOT_CONNECTED = 'NOT_CONNECTED';
