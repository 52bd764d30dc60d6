// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop

/// Admits plugins and lets them go.
///
/// A registration asks the newcomer what it is, then each plugin that it extends, then the newcomer whether it serves.
///
/// - Guarantee: all or nothing. A step that is refused, or fails, leaves no trace in the registry; what a process that
///   died in the middle had begun ends by itself after `trialTime`. Until it is complete nobody reaches a newcomer but
///   the one that examines it.
/// - Source: the steps are those of tKeel, pkg/service/plugins.go of October 2021, which left entries behind.
@Loop final class PluginRegistry {
    /// What has begun and is not complete ends by itself then.
    static let trialTime = Duration.seconds(60)
    /// Time of each question to a plugin.
    private static let patience = Duration.seconds(5)
    /// Registrations under way in one process.
    private static let maxAtATime = 8

    let follower: PluginFollower
    private let options: KeelOptions
    private let caller: any PluginCaller
    let clock: any LoopClock
    let log: Logger
    /// Callers may write it behind an id.
    let namespace: String
    private let random: RandomSource
    private var underWay = 0
    /// Called when a plugin is gone.
    var onGone: (@Loop (PluginID) async -> Void)?

    init(_ follower: PluginFollower, _ options: KeelOptions, _ caller: any PluginCaller, _ context: ServiceContext) {
        self.follower = follower
        self.options = options
        self.caller = caller
        clock = context.clock
        random = context.random
        log = context.log
        namespace = context.clusterName
    }

    var maxPlugins: Int { options.maxPlugins }

    /// What a registration asks for.
    struct Application {
        let id: PluginID
        let addresses: [String]
        /// Takes the place of a plugin of the same id, whose secret and tokens end.
        let replaces: Bool
    }

    /// Registers a plugin, and returns its own secret.
    ///
    /// - Throws: `PluginAnswer`, which says which step was refused, and why.
    func register(_ wish: Application) async throws(PluginAnswer) -> String {
        guard underWay < Self.maxAtATime else {
            throw PluginAnswer(503, "\(Self.maxAtATime) registrations are under way already")
        }
        underWay += 1
        defer { underWay -= 1 }
        let identity = try await identify(wish)
        let secret = PluginRecord.secret(random.bytes(32))
        var record = PluginRecord(
            identity: identity, registration: random.bytes(16).hexadecimal, registeredAt: follower.now,
            secretHash: secret.hash, addresses: wish.addresses, status: .starting, reason: "being registered",
            scopes: options.grants[Text(wish.id.rawValue)] ?? options.scopes)
        record.trial = PluginRecord.Trial(
            until: follower.now &+ Self.trialTime.clampedMilliseconds, examiner: nil)
        let former = try await begin(record, replaces: wish.replaces)
        do throws(PluginAnswer) {
            try await examine(&record)
            (record.status, record.reason) = (try await status(of: record), "")
            record.trial = nil
            try await complete(record, over: former)
        } catch {
            await forget(record, former)
            throw error
        }
        log.notice("a plugin is registered", metadata: ["plugin": "\(record.id)", "plugin.status": "\(record.status)"])
        return secret.text
    }

    // MARK: its steps

    private func identify(_ wish: Application) async throws(PluginAnswer) -> PluginIdentity {
        let path = "/v1/identify"
        let response = try await ask(wish.addresses[0], PluginRequest("GET", path), path)
        let identity = try PluginIdentity(try PluginReply(response, from: path).accepted(path).body)
        guard identity.id == wish.id else {
            throw PluginAnswer(400, "\(path) names \(identity.id.rawValue.forLog), not \(wish.id)")
        }
        return identity
    }

    /// Makes the newcomer known as one on trial; what it replaces comes back.
    private func begin(_ record: PluginRecord, replaces: Bool) async throws(PluginAnswer) -> PluginRecord? {
        var former: PluginRecord?
        try await follower.change { (view) throws(PluginAnswer) in
            former = try self.check(record, view, replaces: replaces)
            // A plugin that is replaced serves until the new one is complete: its trial has a place of its own then.
            return former == nil ? [.put(record)] : []
        }
        return former
    }

    /// Asks each plugin that the newcomer extends, in the order of its declaration.
    private func examine(_ record: inout PluginRecord) async throws(PluginAnswer) {
        for binding in record.identity.bindings {
            if let owner = PlatformOwner(rawValue: binding.owner.rawValue) {
                if owner == .keel { try await examineRouteCheck(binding, record) }
                continue
            }
            record.trial?.examiner = binding.owner
            let trial = record
            try await follower.change { (view) throws(PluginAnswer) in
                view.records[trial.id]?.registration == trial.registration ? [.put(trial)] : []
            }
            guard let owner = follower.view.plugin(binding.owner) else {
                throw PluginAnswer(409, "\(binding.owner), which it extends, is gone meanwhile")
            }
            try await ask(owner, whether: binding, of: record)
        }
    }

    private func ask(
        _ owner: PluginRecord, whether binding: PluginBinding, of record: PluginRecord
    ) async throws(PluginAnswer) {
        if let refusal = PluginGate.refusal(owner.status) {
            throw PluginAnswer(409, "\(owner.id), which it extends, does not serve: \(refusal.msg)")
        }
        let path = "/v1/addons/identify"
        let question: JSON = [
            "plugin": ["id": record.id.json, "version": .string(record.identity.version.description)],
            "endpoint": .array(
                binding.endpoints.map { endpoint in
                    ["addons_point": .string(endpoint.point.text), "endpoint": .string(endpoint.path)]
                }),
        ]
        let request = PluginRequest(
            "POST", path, headers: [PluginHeader("Content-Type", "application/json")], body: question.encoded())
        let reply = try PluginReply(try await ask(owner.addresses[0], request, path), from: path)
        guard reply.ret == 0 else {
            throw PluginAnswer(409, "\(owner.id) refuses it: \(reply.msg) (ret \(reply.ret))")
        }
    }

    /// Who is to check those that call from outside shows that it admits and refuses.
    ///
    /// - Source: tKeel's probe of this point, with the header `x-keel-check`.
    private func examineRouteCheck(_ binding: PluginBinding, _ record: PluginRecord) async throws(PluginAnswer) {
        for endpoint in binding.endpoints {
            for (word, isAdmitted) in [("True", true), ("False", false)] {
                let request = PluginRequest(
                    "POST", endpoint.path,
                    headers: [PluginHeader("x-keel-check", word), PluginHeader("Content-Type", "application/json")],
                    body: Bytes("{}".utf8))
                let reply = try PluginReply(
                    try await ask(record.addresses[0], request, endpoint.path), from: endpoint.path)
                guard (reply.ret == 0) == isAdmitted else {
                    throw PluginAnswer(
                        409, "\(endpoint.path) answers ret \(reply.ret) to a check that is to be \(word)")
                }
            }
        }
    }

    private func status(of record: PluginRecord) async throws(PluginAnswer) -> PluginStatus {
        let path = "/v1/status"
        let response = try await ask(record.addresses[0], PluginRequest("GET", path), path)
        let reply = try PluginReply(response, from: path).accepted(path)
        guard let status = PluginStatus(reply.body["status"]) else {
            throw PluginAnswer(502, "\(path) answers no status that there is")
        }
        return status
    }

    /// Over the registry as it is now: meanwhile another may have taken a point, or a main plugin may be gone.
    private func complete(_ record: PluginRecord, over former: PluginRecord?) async throws(PluginAnswer) {
        try await follower.change { (view) throws(PluginAnswer) in
            let present = view.records[record.id]?.registration
            guard present == former?.registration || former == nil && present == record.registration else {
                throw PluginAnswer(409, "\(record.id) was registered by somebody else meanwhile")
            }
            _ = try self.check(record, view, replaces: true)
            return [.put(record)] + Self.rebound(to: record, view)
        }
    }

    /// Takes back what `begin` wrote, as soon as Redis does it; should this process end before, the trial ends itself.
    private func forget(_ record: PluginRecord, _ former: PluginRecord?) async {
        guard former == nil, await !isForgotten(record) else { return }
        Loop.spawn {
            let end = self.clock.deadline(after: Self.trialTime)
            repeat {
                await self.clock.sleep(for: .seconds(1))
            } while await !self.isForgotten(record) && self.clock.now < end
        }
    }

    private func isForgotten(_ record: PluginRecord) async -> Bool {
        do throws(PluginAnswer) {
            try await follower.change { (view) throws(PluginAnswer) in
                let present = view.records[record.id]
                return present?.trial != nil && present?.registration == record.registration
                    ? [.remove(record.id)] : []
            }
            return true
        } catch {
            log.info(
                "a plugin that was refused is still on trial",
                metadata: ["plugin": "\(record.id)", "plugin.reason": "\(error.msg)"])
            return false
        }
    }

    private func ask(_ address: String, _ request: PluginRequest, _ path: String) async throws(PluginAnswer)
        -> PluginResponse
    {
        var request = request
        if let token = options.appToken { request.headers.append(PluginHeader("dapr-api-token", token)) }
        do throws(PluginCallError) {
            return try await caller.call(address, request, within: Self.patience, limit: PluginIdentity.maxBytes)
        } catch {
            throw PluginAnswer(502, "\(path) at \(address): \(error.text)")
        }
    }
}

extension PluginCallError {
    /// For people.
    var text: String {
        switch self {
        case .unreachable(let reason): "unreachable: \(reason)"
        case .broken(let reason): "broken: \(reason)"
        case .timeout: "no answer in time"
        case .tooLarge: "its answer is too large"
        case .malformed(let reason): "no answer of HTTP: \(reason)"
        }
    }
}
