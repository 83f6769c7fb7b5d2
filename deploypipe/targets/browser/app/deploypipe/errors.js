/** What goes wrong: one sentence that says what, one that says what to do about it. */
export class DeployError extends Error {
  /**
   * @param {string} message What is wrong, without a final full stop.
   * @param {string} [cure] What the user can do about it, a sentence, or "".
   */
  constructor(message, cure = "") {
    super(message);
    this.name = "DeployError";
    this.cure = cure;
  }

  /** Both sentences. */
  describe() {
    return this.cure ? `${this.message}. ${this.cure}` : this.message;
  }
}

/**
 * Says an error of somebody else's code in one line.
 * @param {unknown} error
 */
export function firstLine(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n")[0].replace(/\.+$/, "") || "no reason given";
}
