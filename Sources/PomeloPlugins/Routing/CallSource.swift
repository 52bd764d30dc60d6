// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON

/// Who calls, as far as it has been shown.
struct CallSource: Sendable {
    enum Caller: Sendable {
        /// By its token or its secret.
        case plugin(PluginRecord)
        case outside
    }

    let caller: Caller
    /// How many calls this one is a part of.
    let depth: Int
    let headers: [PluginHeader]

    var plugin: PluginRecord? {
        if case .plugin(let record) = caller { record } else { nil }
    }
}

/// A request that the platform serves itself.
struct PlatformCall: Sendable {
    let verb: String
    /// With its mark, or empty.
    let query: String
    let source: CallSource
    let request: PluginRequest

    /// The body as an object; an empty one for no body.
    ///
    /// - Throws: `PluginAnswer` 400.
    func body() throws(PluginAnswer) -> JSONObject {
        if request.body.isEmpty { return JSONObject() }
        do throws(WireError) {
            guard let object = try JSON.parse(request.body).object else { throw WireError.malformed("no object") }
            return object
        } catch {
            throw PluginAnswer(400, "the body is no JSON object: \(error)")
        }
    }

    /// The first value of a name in the query; escapes are not undone, for no name or id has any.
    func parameter(_ name: String) -> String? {
        for pair in query.dropFirst().split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, Text(String(parts[0])) == Text(name) { return String(parts[1]) }
        }
        return nil
    }

    func need(_ method: String) throws(PluginAnswer) {
        guard request.method == method else {
            var answer = PluginAnswer(405, "\(verb) is a \(method)")
            answer.headers = [PluginHeader("Allow", method)]
            throw answer
        }
    }
}
