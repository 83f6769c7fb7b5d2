package io.deploypipe

import org.json.JSONObject

/**
 * What verification found.
 *
 * @property passed Every comparison kept its limit.
 * @property failures One sentence for each that did not.
 * @property json All of it, as the manifest has it: {"passed", "checks", "failures"}.
 */
class Verdict(val passed: Boolean, val failures: List<String>, val json: String) {
    internal companion object {
        fun parse(json: String): Verdict {
            val table = JSONObject(json)
            val failures = table.getJSONArray("failures")
            return Verdict(table.getBoolean("passed"), List(failures.length()) { failures.getString(it) }, json)
        }
    }
}
