// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloLoop

/// One state of a session's settings, shared by the session and its copies: an object, or the bytes that travel; each
/// form is made of the other when it is first asked for.
@Loop final class SettingsSnapshot {
    /// Of a session without settings.
    static let none = SettingsSnapshot(JSONObject())

    private var known: JSONObject?
    private var encoded: Bytes?

    init(_ object: JSONObject) { known = object }

    /// What came from another server; no bytes are no settings, and so is what no server sends.
    init(encoded: Bytes) { self.encoded = encoded }

    var object: JSONObject {
        if let known { return known }
        let object = Self.read(encoded ?? [])
        known = object
        return object
    }

    private static func read(_ bytes: Bytes) -> JSONObject {
        let parsed = Result { () throws(WireError) in try JSON.parse(bytes) }
        guard case .success(.object(let object)) = parsed else { return JSONObject() }
        return object
    }

    /// The object as JSON; empty when nothing is set.
    var bytes: Bytes {
        if let encoded { return encoded }
        let bytes = object.isEmpty ? [] : JSON.object(object).encoded()
        encoded = bytes
        return bytes
    }
}
