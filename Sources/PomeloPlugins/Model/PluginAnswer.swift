// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON

/// What the platform answers itself: a status of HTTP, and `{"ret", "msg", "data"}`.
public struct PluginAnswer: Sendable, Error, Hashable {
    /// Of HTTP.
    public var status: Int
    /// 0: done; else −status, as a rule.
    public var ret: Int
    /// For people.
    public var msg: String
    /// What was asked for.
    public var data: JSON?
    /// Further fields beside these.
    public var fields = JSONObject()
    /// Further headers.
    public var headers: [PluginHeader] = []

    /// An answer.
    public init(_ status: Int, _ msg: String, ret: Int? = nil, data: JSON? = nil) {
        self.status = status
        self.ret = ret ?? (status == 200 ? 0 : -status)
        self.msg = msg
        self.data = data
    }

    /// Done.
    public static func ok(_ data: JSON? = nil) -> PluginAnswer { PluginAnswer(200, "ok", data: data) }

    /// As it is sent.
    public var response: PluginResponse {
        var object: JSONObject = ["ret": .init(ret), "msg": .string(msg)]
        for (key, value) in fields { object[key] = value }
        if let data { object["data"] = data }
        let type = PluginHeader("Content-Type", "application/json")
        return PluginResponse(status, headers: [type] + headers, body: JSON.object(object).encoded())
    }
}

/// What callers are answered while a plugin does not serve.
///
/// | plugin | answer |
/// |---|---|
/// | STARTING | 503, `Retry-After: 1`, `{"ret":-503,"msg":"plugin starting"}` |
/// | ACTIVE | its own |
/// | STOPPING | 503, `{"ret":-503,"msg":"plugin stopping"}` |
/// | FAILED | 502, `{"ret":-502,"msg":"plugin failed"}` |
/// | not registered | 404, `{"ret":-404,"msg":"plugin not registered"}` |
public enum PluginGate {
    /// Nil: calls pass; a plugin without a status is not registered.
    public static func refusal(_ status: PluginStatus?) -> PluginAnswer? {
        switch status {
        case .active: return nil
        case .starting:
            var answer = PluginAnswer(503, "plugin starting")
            answer.headers = [PluginHeader("Retry-After", "1")]
            return answer
        case .stopping: return PluginAnswer(503, "plugin stopping")
        case .failed: return PluginAnswer(502, "plugin failed")
        case nil: return PluginAnswer(404, "plugin not registered")
        }
    }
}
