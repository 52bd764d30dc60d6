// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON

/// What a plugin answers the platform: `{"ret", "msg", …}`, or `{"res": {"ret", "msg"}, …}` as later ones do.
struct PluginReply {
    let ret: Int64
    let msg: String
    let body: JSON

    /// - Throws: `PluginAnswer` 502 for another status than 200, or what is no such answer.
    init(_ response: PluginResponse, from path: String) throws(PluginAnswer) {
        guard response.status == 200 else { throw PluginAnswer(502, "\(path) answers \(response.status)") }
        let body: JSON
        do throws(WireError) {
            body = try JSON.parse(response.body)
        } catch {
            throw PluginAnswer(502, "\(path) answers no JSON: \(error)")
        }
        let result = body["res"]?.object == nil ? body : body["res"] ?? .null
        guard let ret = result["ret"]?.int else { throw PluginAnswer(502, "\(path) answers without ret") }
        self.ret = ret
        msg = (result["msg"]?.string ?? "").escapedForLog(maxBytes: 256)
        self.body = body
    }

    /// - Throws: `PluginAnswer` 502 when it refuses.
    func accepted(_ path: String) throws(PluginAnswer) -> PluginReply {
        guard ret == 0 else { throw PluginAnswer(502, "\(path) answers ret \(ret): \(msg)") }
        return self
    }
}
