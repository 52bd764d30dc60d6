// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloCore
public import PomeloLoop
import PomeloRedis

/// This server's membership: its lease, its view of the others, and its part in removing those that are gone.
///
/// Cleaners and publishers are registered before the application starts.
@Loop public final class ClusterMembership: Membership, Component {
    /// The component's name.
    public let name = "cluster"
    /// This start of this server.
    public let instance: InstanceID
    /// Whether the registry holds this instance, as far as is known here.
    public internal(set) var isJoined = false
    /// False while a server of the configuration answers and is missing from the view; asked at the start, and when
    /// the registry has lost data.
    public var isViewComplete: Bool { rollCall.missing.isEmpty }
    /// Another instance has taken this server's id: the process should stop, without delay.
    public var onReplaced: (@Loop () -> Void)?

    let id: ServerID
    let ports: ClusterPorts
    let options: ClusterOptions
    let clock: any LoopClock
    let random: RandomSource
    let log: Logger
    let registry: ClusterRegistry
    let renewer: LeaseRenewer
    let leaseHealth: LeaseHealth
    let view: ClusterView
    let reaper: Reaper
    let servers: ServerDirectory
    let rollCall: RollCall
    let introduction: Introduction
    let isFrontend: Bool
    let limits: @Loop () -> Limits
    var phase = Phase.idle
    var periodicTasks: [PeriodicTask] = []
    var observations: [(port: any RedisPort, id: RedisObservation)] = []
    private var runIDs: [ObjectIdentifier: String] = [:]
    var publishers: [any LeasePublisher] = []
    var elections: [Text: Election] = [:]
    private var wantsRecovery = false
    private var isRecovering = false
    private var wantsRevisit = true
    private var wantsPublication = false
    private var isPublishing = false
    private var isSubscribed = false
    private var isSubscribing = false
    private let refusals: LimitedLog

    typealias Standing = LeaseRenewer.Standing

    /// How often the id is tried again when its holder changes meanwhile.
    static let joinAttempts = 5

    enum Phase {
        case idle, joining
        /// What a former instance left is cleaned up; from here on state is published.
        case member
        /// Or replaced by another instance: nothing is written any more.
        case stopped
    }

    /// `configured` are the servers of the configuration, of which this may be one.
    init(
        _ context: ServiceContext, _ record: ServerRecord, configured: [ServerRecord], _ ports: ClusterPorts,
        _ options: ClusterOptions
    ) {
        let own = ServerInfo(record: record, instance: context.instance, state: .joining)
        id = own.id
        instance = own.instance
        self.ports = ports
        self.options = options
        clock = context.clock
        random = context.random
        log = context.log
        refusals = LimitedLog(log, clock, "redis refuses a part of the registry", lines: 2, per: .seconds(30))
        servers = context.servers
        registry = ClusterRegistry(ports.control, cluster: context.clusterName)
        renewer = LeaseRenewer(registry, own, lease: options.lease)
        leaseHealth = LeaseHealth(lease: options.lease, clock, log)
        view = ClusterView(registry, context.servers, clock: clock, lease: options.lease, log: log)
        rollCall = RollCall(
            configured.filter { $0.id != own.id }, servers, ports.transport, clock: clock, log: log,
            memory: options.lease)
        introduction = Introduction(context, view, deadline: options.pingDeadline)
        isFrontend = context.isFrontend
        // The context has the membership.
        limits = { [unowned context] in context.limits }
        reaper = Reaper(
            registry, own: own, ports.transport, clock: clock, random: random, options: options, log: log)
        view.answers = { server in await ports.transport.ping(server, within: options.pingDeadline) }
        view.onLoss = { [weak self] in self?.registryLostData() }
    }

    // MARK: Membership

    /// Degraded from the loss of Redis or a renewal that failed, isolated after two leases, until the next renewal.
    public var health: MembershipHealth { leaseHealth.current }

    /// As the options say.
    public var lease: Duration { options.lease }

    /// Asks the registry; an entry whose lease was lost counts as alive, since it is about to get a new one.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func isAlive(_ server: ServerID, _ instance: InstanceID) async throws -> Bool {
        try await registry.isAlive(server, instance)
    }

    /// Every server id there ever was, sorted.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func everServers() async throws -> [ServerID] { try await registry.everServers() }

    /// The one candidate for an office, under this server's name; it resigns when the server stops.
    func election(_ office: String, term: Duration) -> Election {
        if let election = elections[Text(office)] { return election }
        let store = RedisElectionStore(ports.control, cluster: registry.keys.cluster)
        let election = Election(
            office, store, as: id.rawValue, term: term, clock: clock, random: random, logger: log)
        elections[Text(office)] = election
        return election
    }

    /// Adds to what is done when a server is gone, and at the start for a former instance of this one.
    public func addCleaner(_ cleaner: any LeaseCleaner) { reaper.cleaners.append(cleaner) }

    /// Adds to who is told that Redis is back or has lost this server.
    public func addPublisher(_ publisher: any LeasePublisher) { publishers.append(publisher) }

    // MARK: lease

    func renew() async {
        do throws(RedisError) {
            await conclude(from: try await confirm())
        } catch {
            leaseHealth.degrade("\(error)")
        }
    }

    /// Renews, and notes when; takes the id back from an instance that is dead.
    func confirm(claims: Bool? = nil) async throws(RedisError) -> Standing {
        let claims = claims ?? (phase == .member)
        let sent = clock.now
        var standing = try await renewer.confirm(claims: claims)
        for _ in 0..<Self.joinAttempts {
            guard case .taken(let holder) = standing, await isDead(holder) else { break }
            log.notice("the registry has a dead instance in this server's place: replacing it")
            standing = try await renewer.confirm(claims: claims, replacing: holder.instance)
        }
        if standing == .held || standing == .regained { leaseHealth.renewed(sentAt: sent) }
        return standing
    }

    /// Whether the holder of this server's id may be replaced: who asks listens where it did, or it does not answer.
    func isDead(_ holder: LeaseHolder) async -> Bool {
        guard let other = holder.info else { return true }
        let record = renewer.info.record
        if other.record.host == record.host, other.record.port == record.port { return true }
        return await !ports.transport.ping(other, within: options.pingDeadline)
    }

    /// Draws the conclusions from how the registry sees this instance.
    func conclude(from standing: Standing) async {
        guard phase != .stopped else { return }
        switch standing {
        case .held:
            isJoined = true
        case .regained:
            isJoined = true
            // Its hash is missing while the clean-up of a former instance still runs, too.
            guard phase == .member else { return }
            log.notice("redis had lost this server: publishing again")
            view.lostContinuity()
            await publish()
        case .taken:
            phase = .stopped
            leaseHealth.stop()
            isJoined = false
            for task in periodicTasks { task.stop() }
            reaper.stop()
            log.error("another instance has taken the id \(id): this one must stop")
            onReplaced?()
        case .leaving:
            break
        }
    }

    /// Publishers run one after the other; a wish that comes meanwhile is one more round.
    private func publish() async {
        wantsPublication = true
        guard !isPublishing else { return }
        isPublishing = true
        while wantsPublication, phase == .member {
            wantsPublication = false
            for publisher in publishers { await publisher.redisReturned() }
        }
        isPublishing = false
    }

    // MARK: looking

    func scan() async {
        if wantsRecovery { await recover() }
        if wantsRevisit { await revisit() }
        if !isSubscribed { Loop.spawn { await self.subscribe() } }
        let known = view.mark
        do throws(RedisError) {
            let look = try await registry.look(limit: reaper.lookLimit)
            view.noticed(ClusterView.Mark(epoch: look.epoch, born: look.born), known: known)
            if !view.isInGrace, isJoined { reaper.consider(look) }
        } catch {
            delayed("the registry cannot be looked at", error)
        }
    }

    /// A lost connection was told when it went; what Redis refuses nobody else would tell.
    private func delayed(_ what: String, _ error: any Error) {
        if let error = error as? RedisError, case .reply = error, !error.isPassing {
            refusals.write(["pomelo.reason": "\(error)", "pomelo.consequence": "\(what)"])
        } else {
            log.debug("\(what)", metadata: ["pomelo.reason": "\(error)"])
        }
    }

    /// Messages only say sooner what a look finds anyway, so a failure is no more than a delay.
    func subscribe() async {
        guard let messages = ports.messages, !isSubscribing, phase != .stopped else { return }
        isSubscribing = true
        defer { isSubscribing = false }
        do throws(RedisError) {
            try await messages.subscribe(registry.keys.hint) { [weak view] _ in view?.hinted() }
            isSubscribed = true
        } catch {
            delayed("not subscribed to the registry", error)
        }
    }

    // MARK: Redis goes and comes

    /// At once and not at the next renewal: until then servers that start do not see this one.
    private func registryLostData() {
        guard isJoined else { return }
        Loop.spawn {
            await self.renew()
            do {
                try await self.rollCall.ask(within: self.options.pingDeadline)
            } catch {
                self.log.warning("a server refuses this one", metadata: ["pomelo.reason": "\(error)"])
            }
        }
    }

    func observe(_ port: any RedisPort) {
        let observation = port.observe { [weak self, unowned port] event in
            self?.redisChanged(ObjectIdentifier(port), event)
        }
        observations.append((port, observation))
    }

    private func redisChanged(_ port: ObjectIdentifier, _ event: RedisEvent) {
        switch event {
        case .down(let reason):
            leaseHealth.degrade(reason)
        case .up(let runID, let reconnected):
            let before = runIDs.updateValue(runID, forKey: port)
            guard reconnected || (before != nil && before != runID), phase != .stopped else { return }
            // At once: the first look after the return must not find everybody gone.
            view.beginGrace()
            isSubscribed = false
            // Of who still joins it may have brought back what the clean-up had removed: done when it is a member.
            wantsRecovery = true
            Loop.spawn { await self.recover() }
        }
    }

    /// In this order: lease, hint, view, and then what others have published under the lease.
    private func recover() async {
        guard wantsRecovery, !isRecovering, phase == .member, ports.areUp else { return }
        isRecovering = true
        defer { isRecovering = false }
        wantsRecovery = false
        do throws(RedisError) {
            let standing = try await confirm()
            await conclude(from: standing == .regained ? .held : standing)
            guard isJoined else { return }
        } catch {
            wantsRecovery = true
            return
        }
        wantsRevisit = true
        await revisit()
        Loop.spawn { await self.subscribe() }
        await view.reloaded()
        await publish()
    }

    /// Finds servers that nobody remembers: after a return of Redis, and once by who may be the first to come back.
    private func revisit() async {
        guard wantsRevisit, phase == .member, ports.areUp else { return }
        wantsRevisit = false
        do {
            try await registry.revisit()
        } catch {
            wantsRevisit = true
            delayed("servers that nobody remembers cannot be looked for", error)
        }
    }
}
