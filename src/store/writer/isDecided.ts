/** SQL of whether a promotion or a rollback has decided which version of the resources is the latest. */
export const isDecided = `(EXISTS (SELECT 1 FROM promotions)
  OR EXISTS (SELECT 1 FROM control_log WHERE action = 'rollback' AND idempotent = 0))`
