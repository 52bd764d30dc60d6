// SPDX-License-Identifier: MIT
//
// with: Sources/PomeloContract/Identifiers.swift
// with: Sources/PomeloExtensions/PointName.swift Sources/PomeloExtensions/ExtensionPoint.swift
// with: Sources/PomeloExtensions/ExtensionPoint+Cluster.swift Sources/PomeloExtensions/ExtensionAnswer.swift
// with: Sources/PomeloExtensions/ExtensionVerdict.swift
// with: Sources/PomeloPlugins/Model/PluginID.swift Sources/PomeloPlugins/Model/PluginVersion.swift
// with: Sources/PomeloPlugins/Model/PluginIdentity.swift Sources/PomeloPlugins/Model/PluginIdentity+Reading.swift
// with: Sources/PomeloPlugins/Model/PluginStatus.swift Sources/PomeloPlugins/Model/PluginReply.swift
// with: Sources/PomeloPlugins/Model/PluginAnswer.swift Sources/PomeloPlugins/Model/PlatformOwner.swift
// with: Sources/PomeloPlugins/Routing/CallPath.swift Sources/PomeloPlugins/Routing/PluginCaller.swift
// with: Sources/PomeloPlugins/Routing/PluginTokens.swift Sources/PomeloPlugins/Registry/FormFields.swift
// with: Sources/PomeloPlugins/Routing/BasicCredentials.swift
// with: Sources/PomeloPlugins/Routing/HeaderRules.swift Sources/PomeloPlugins/Model/PluginAddress.swift
// with: Sources/PomeloKeel/RequestTarget.swift Sources/PomeloKeel/TokenText.swift
// swiftc: -D Keel

// What these files name of others.
/// Stands for the real one.
@globalActor public actor Loop {
    /// The only one.
    public static let shared = Loop()
}
enum PluginRegistry { static let platform = PluginVersion(1, 0) }

/// What a plugin says is refused with a reason, or reads the same when it is written and read again.
private func checkAnswers(_ bytes: [UInt8]) {
    let response = PluginResponse(200, body: bytes)
    do {
        let reply = try PluginReply(response, from: "/v1/status")
        _ = PluginStatus(reply.body["status"])
        precondition(reply.msg.utf8.count <= 300 && !reply.msg.utf8.contains(0x0A), "words that end a line of the log")
        let identity = try PluginIdentity(reply.body)
        precondition(PluginID.checked(identity.id.rawValue) != nil, "an id that is none")
        precondition(identity.points.count <= 64 && identity.bindings.count <= 16, "more than there may be")
        for endpoint in identity.bindings.flatMap(\.endpoints) {
            precondition(endpoint.path.utf8.first == UInt8(ascii: "/") && !endpoint.path.utf8.contains(0x20), "no path")
        }
        let again = try? PluginIdentity(identity.json)
        precondition(again == identity, "what was written reads otherwise")
    } catch {
        let status = (error as? PluginAnswer)?.status ?? 0
        precondition((400...599).contains(status), "refused as \(status)")
    }
    guard let json = try? JSON.parse(bytes), let answer = try? ExtensionAnswer(json) else { return }
    precondition((try? ExtensionAnswer(answer.json)) == answer, "an answer that reads otherwise")
    if case .refuse(let why, let ret)? = answer.verdict(on: .null) {
        precondition(ret < 0 && why.utf8.count <= ExtensionVerdict.messageLimit, "a refusal that is none")
    }
}

/// A path leads to an id that there may be, and to a path below it.
private func checkPath(_ text: String, _ app: String?) {
    switch CallPath(text, appID: app, namespace: "pomelo") {
    case .plugin(let id, let path):
        precondition(PluginID.checked(id.rawValue) != nil && path.utf8.first == UInt8(ascii: "/"), "no plugin's path")
    case .point(let name, _): precondition(!name.text.isEmpty, "a point without a name")
    case .health, .metadata, .probe, .registry, .cluster, .unknown: break
    }
    guard let path = RequestTarget.path(of: text) else { return }
    let escaped = RequestTarget.escaped(path)
    precondition(
        path.utf8.first == UInt8(ascii: "/") && escaped.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "no target")
    precondition(RequestTarget.escaped(escaped) == escaped, "escaped twice")
}

/// Headers that are handed on are heads of their own, and none is of one hop.
private func checkHeaders(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let headers = lines.map { line in
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return PluginHeader(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
    let kept = HeaderRules.endToEnd(headers)
    precondition(HeaderRules.endToEnd(kept) == kept, "not all at once")
    for header in kept {
        precondition(!header.value.utf8.contains { $0 == 0x0D || $0 == 0x0A || $0 == 0 }, "a value that ends a line")
        let name = header.name.lowercased()
        precondition(name != "connection" && name != "transfer-encoding" && !name.isEmpty, "of one hop")
        precondition(!name.utf8.contains { $0 <= 0x20 || $0 == 0x3A || $0 >= 0x7F }, "no name")
    }
    _ = [PluginHeader](headers)["connection"]
}

/// A form's fields, and a token's head.
private func checkForm(_ bytes: [UInt8]) {
    _ = FormFields(bytes)["client_id"]
    _ = BasicCredentials(String(decoding: bytes, as: UTF8.self))
    if let address = PluginAddress("http://" + String(decoding: bytes, as: UTF8.self)) {
        precondition(PluginAddress(address.text) == address, "an address that reads otherwise")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    if let plain = FormFields.unescaped(text) {
        precondition(plain.utf8.count <= text.utf8.count, "longer than it was")
    }
    if let token = try? TokenText(text) {
        precondition(text.utf8.count <= TokenText.maxBytes, "too long: \(token.key)")
    }
    if let part = Base64URL.decode(bytes) {
        precondition(Base64URL.encode(part) == text, "two spellings of the same bytes")
    }
}

/// Nothing that a plugin, or who calls one, says is a trap.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPlugin(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let kind = bytes.first else { return 0 }
    let rest = Array(bytes.dropFirst())
    let text = String(decoding: rest, as: UTF8.self)
    switch kind {
    case UInt8(ascii: "/"): checkPath("/" + text, nil)
    case UInt8(ascii: "@"):
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        checkPath(parts.last ?? "", parts.first)
    case UInt8(ascii: ":"): checkHeaders(text)
    case UInt8(ascii: "="): checkForm(rest)
    default: checkAnswers(bytes)
    }
    return 0
}
