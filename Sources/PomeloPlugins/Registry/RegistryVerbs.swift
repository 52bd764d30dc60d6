// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop

/// What is served at `/v1.0/invoke/plugins/method/{verb}`.
///
/// | verb | body or query | answer beside `ret`, `msg` | who |
/// |---|---|---|---|
/// | POST `register` | `{"id", "secret", "url"?, "urls"?, "replace"?}` | `secret`, its own | who has the bootstrap |
/// | POST `delete`, `unregister` | `{"id", "secret"?, "force"?}` | | the same, or the plugin itself |
/// | GET `list` | | `data`: `[{"id", "version", "status", …}]` | the same, or any plugin |
/// | GET `show` | `?id=` | `data` | the same |
/// | POST `oauth2/token` | form `client_id`, `client_secret`, or Basic | `access_token`, `expires_in` | who has it |
/// | POST, DELETE `instances` | `{"url", "seconds"?}` | | the plugin itself |
/// | GET `keys` | | `keys`: JSON Web Keys | anybody |
///
/// - Source: tKeel, api/plugin.go of October 2021, for `register`, `delete` and the token's path and form.
@Loop struct RegistryVerbs {
    private static let lease = 15
    let registry: PluginRegistry
    let instances: Instances
    let desk: TokenDesk
    let options: KeelOptions

    func serve(_ call: PlatformCall) async throws(PluginAnswer) -> PluginAnswer {
        switch Text(call.verb) {
        case "register": return try await register(call)
        case "delete", "unregister": return try await unregister(call)
        case "list": return try list(call)
        case "show": return try show(call)
        case "oauth2/token", "oauth2/plugin": return try await token(call)
        case "instances": return try await lease(call)
        case "keys":
            try call.need("GET")
            var answer = PluginAnswer.ok()
            answer.fields = ["keys": desk.publicKeys["keys"] ?? []]
            return answer
        default: throw PluginAnswer(404, "the registry has no verb \(call.verb.forLog)")
        }
    }

    private func register(_ call: PlatformCall) async throws(PluginAnswer) -> PluginAnswer {
        try call.need("POST")
        let body = try call.body()
        try admitOperator(body["secret"]?.string)
        let id = try Self.id(body["id"])
        let application = PluginRegistry.Application(
            id: id, addresses: try addresses(body, of: id), replaces: body["replace"]?.bool ?? false)
        var answer = PluginAnswer.ok()
        answer.fields = ["secret": .string(try await registry.register(application))]
        return answer
    }

    private func addresses(_ body: JSONObject, of id: PluginID) throws(PluginAnswer) -> [String] {
        var texts: [JSON] = body["urls"]?.array ?? []
        if let url = body["url"], !url.isNull { texts.insert(url, at: 0) }
        if texts.isEmpty { texts = (options.apps[Text(id.rawValue)] ?? []).map { .string($0) } }
        guard !texts.isEmpty else {
            throw PluginAnswer(400, "where \(id) is: \"url\" is missing, and keel.json has none under apps")
        }
        guard texts.count <= 16 else { throw PluginAnswer(400, "more than 16 urls") }
        var addresses: [String] = []
        for text in texts { addresses.append(try Self.address(text).text) }
        return addresses
    }

    private func unregister(_ call: PlatformCall) async throws(PluginAnswer) -> PluginAnswer {
        try call.need("POST")
        let body = try call.body()
        let id = try Self.id(body["id"])
        if call.source.plugin?.id != id { try admitOperator(body["secret"]?.string ?? call.bearer) }
        try await registry.unregister(id, isForced: body["force"]?.bool ?? false) { instances.inFlight($0) }
        return .ok()
    }

    private func list(_ call: PlatformCall) throws(PluginAnswer) -> PluginAnswer {
        try call.need("GET")
        if call.source.plugin == nil { try admitOperator(call.bearer) }
        return .ok(.array(registry.follower.view.records.values.sorted { $0.id < $1.id }.map(\.summary)))
    }

    private func show(_ call: PlatformCall) throws(PluginAnswer) -> PluginAnswer {
        try call.need("GET")
        if call.source.plugin == nil { try admitOperator(call.bearer) }
        let id = try Self.id(call.parameter("id").map { .string($0) })
        guard let record = registry.follower.view.records[id] else { throw PluginAnswer(404, "plugin not registered") }
        return .ok(record.details(registry.follower.view, at: registry.follower.now))
    }

    private func token(_ call: PlatformCall) async throws(PluginAnswer) -> PluginAnswer {
        try call.need("POST")
        let form = FormFields(call.request.body)
        let shown = call.source.headers["authorization"].flatMap(BasicCredentials.init)
        guard let id = form["client_id"] ?? shown?.id, let secret = form["client_secret"] ?? shown?.secret else {
            throw PluginAnswer(400, "a form with client_id and client_secret is needed, or both in Authorization")
        }
        let (token, claims) = try await desk.issue(id, secret: secret)
        var answer = PluginAnswer.ok()
        answer.fields = [
            "access_token": .string(token), "token_type": "Bearer", "refresh_token": "",
            "expires_in": .int(claims.expires - claims.issuedAt),
        ]
        answer.headers = [PluginHeader("Cache-Control", "no-store")]
        return answer
    }

    private func lease(_ call: PlatformCall) async throws(PluginAnswer) -> PluginAnswer {
        guard let plugin = call.source.plugin else { throw PluginAnswer(401, "only a plugin has instances") }
        let body = try call.body()
        let address = try Self.address(body["url"])
        if call.request.method == "DELETE" {
            try await registry.lease(plugin.id, address, for: .zero)
            return .ok()
        }
        try call.need("POST")
        let seconds = body["seconds"]?.int ?? Int64(Self.lease)
        guard (1...300).contains(seconds) else { throw PluginAnswer(400, "seconds must be from 1 to 300") }
        try await registry.lease(plugin.id, address, for: .seconds(seconds))
        return .ok()
    }

    /// - Throws: `PluginAnswer` 403, the same whether there is no such secret or another one.
    private func admitOperator(_ secret: String?) throws(PluginAnswer) {
        guard let bootstrap = options.bootstrap, let secret,
            isSame(PluginRecord.hash(secret), PluginRecord.hash(bootstrap))
        else { throw PluginAnswer(403, "the bootstrap secret is missing or wrong") }
    }

    private static func id(_ value: JSON?) throws(PluginAnswer) -> PluginID {
        guard let text = value?.string else { throw PluginAnswer(400, "id is missing") }
        guard let id = PluginID.checked(text) else {
            throw PluginAnswer(400, "\(text.forLog) is no id of a plugin: letters, digits, - _ and ., not reserved")
        }
        return id
    }

    private static func address(_ value: JSON?) throws(PluginAnswer) -> PluginAddress {
        guard let text = value?.string, let address = PluginAddress(text) else {
            throw PluginAnswer(400, "\((value ?? .null).description.forLog) is no address like http://host:port")
        }
        return address
    }
}

extension PlatformCall {
    /// The word behind `Bearer` in `Authorization`.
    fileprivate var bearer: String? { source.headers["authorization"].flatMap { PluginRouter.bearer($0) } }

}

extension PluginRecord {
    /// A line of a list.
    var summary: JSON {
        [
            "id": id.json, "version": .string(identity.version.description),
            "status": .string(trial == nil ? status.rawValue : "REGISTERING"), "reason": .string(reason),
            "registered_at": .int(registeredAt), "urls": .array(addresses.map { .string($0) }),
        ]
    }

    /// All that others may know.
    func details(_ view: PluginView, at now: Int64) -> JSON {
        guard case .object(var object) = summary else { return summary }
        object["identify"] = identity.json
        object["scopes"] = .array(scopes.map { .string($0) })
        object["suspended"] = .array(suspended.sorted().map(\.json))
        object["urls"] = .array(view.addresses(of: self, at: now).map { .string($0) })
        object["dependents"] = .array(view.dependents(of: id).map(\.json))
        object["points"] = .array(
            identity.points.map { point in
                let names = view.implementers(of: id, point.name).map { $0.id.json }
                return [
                    "name": .string(point.name.text), "mode": .string(point.mode.rawValue),
                    "implementers": .array(names),
                ]
            })
        return .object(object)
    }
}
