/** Longest wait of a timer: with more milliseconds Node's fires at once, and Effect's never. */
export const timerMsMax = 2_147_483_647
