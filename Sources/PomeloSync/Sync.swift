// SPDX-License-Identifier: MIT
//
// PomeloSync: values that change often, kept in memory and brought to a database in the background.
// Reading order: Sync, SyncOptions, SyncKey, SyncSink, SyncReader, SyncService, +DeadLetters, +Stop, SyncModule;
// SyncLanes, SyncLine, SyncTable, SyncItems, Refusals, EarlierValues, ValueSlots, SyncQueue, DueWheel, Confirmations,
// ReplayShelf; SyncWriter, DeadLetters, SyncOwner, VersionClock, SyncMeter, SyncError; the journal: JournalPlace,
// JournalRecord, JournalStore, JournalNames, JournalChanges, Journal, FormerJournals, JournalClaims, JournalContent,
// AdoptedJournal, JournalCheck; RedisSyncSink with Scripts/apply.lua; SQLTable. By itself: MemoryStore, +Strings,
// +Hashes, +Lists.
import PomeloBytes
public import PomeloCore
public import PomeloLoop
public import PomeloRedis

/// The plugin: gives an application its `sync`.
///
/// ```swift
/// try app.use(Sync(redis: client) { sinks in sinks.map(.bag, to: database) })
/// ```
///
/// With a Redis, what waits is in a journal there too, with which another server of the type goes on when this one is
/// gone: that needs the `Cluster` plugin, used before this one. `SyncPolicy` says what survives what.
public struct Sync: Plugin {
    /// Which sink has which key.
    @Loop public struct Sinks {
        fileprivate var byKey: [Text: SinkEntry] = [:]
        fileprivate var wrong: [String] = []

        /// Brings the values of a key to a sink; one sink may have many keys.
        public mutating func map<Value>(_ key: SyncKey<Value>, to sink: any SyncSink) {
            let entry = SinkEntry(sink, { SyncTable(key.name, ValueSlots(key), $0) }, { SyncQueue(key, $0) })
            if byKey.updateValue(entry, forKey: key.name) != nil {
                wrong.append("the key \"\(key.name)\" is mapped twice")
            }
            // A journal tells the parts of a field by them.
            if key.name.string.utf8.contains(where: { $0 <= 1 }) { wrong.append("a key holds the byte 0 or 1") }
        }
    }

    /// `sync`.
    public let name = "sync"
    private let redis: (any RedisPort)?
    private let options: SyncOptions
    private let map: @Loop (inout Sinks) -> Void

    /// Maps keys to sinks; what `sync.json` says stands above the options given here.
    ///
    /// Without a Redis what waits is in memory alone.
    public init(
        redis: (any RedisPort)? = nil, options: SyncOptions = SyncOptions(),
        _ map: @escaping @Loop (inout Sinks) -> Void
    ) {
        self.redis = redis
        self.options = options
        self.map = map
    }

    /// Makes the service and loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` when `sync.json` is wrong, a key is mapped twice, or there is to be a
    ///   journal and there is no Redis, or no cluster.
    public func install(into application: Application, _: inout PluginOptions) throws {
        var sinks = Sinks()
        map(&sinks)
        if let wrong = sinks.wrong.first { throw PomeloError(.configuration, "sync: \(wrong)") }
        let options = try application.options(options)
        try options.check()
        let service = SyncService(
            application.context, options, sinks.byKey, try store(application, options.policy),
            options.policy ?? .everyBatch)
        application.setService(service)
        try application.load(service)
        try application.registerAdmin(SyncModule(service))
    }

    private func store(_ application: Application, _ policy: SyncPolicy?) throws -> JournalStore? {
        if policy == .memoryOnly { return nil }
        guard let redis else {
            guard let policy else { return nil }
            throw PomeloError(.configuration, "sync: the policy \"\(policy)\" needs a Redis: Sync(redis: …)")
        }
        guard application.membership != nil else {
            throw PomeloError(.configuration, "sync: its journal needs the Cluster plugin, used before it")
        }
        return JournalStore(redis, JournalKeys(cluster: application.clusterName, type: application.serverType))
    }
}

/// What a key is mapped to: its sink, and the lines of its values, made when they are needed first.
@Loop struct SinkEntry {
    let sink: any SyncSink
    let makeTable: @Loop (SyncOwner) -> any SyncLine
    let makeQueue: @Loop (SyncOwner) -> any SyncLine

    init(
        _ sink: any SyncSink, _ makeTable: @escaping @Loop (SyncOwner) -> any SyncLine,
        _ makeQueue: @escaping @Loop (SyncOwner) -> any SyncLine
    ) {
        self.sink = sink
        self.makeTable = makeTable
        self.makeQueue = makeQueue
    }
}

extension Application {
    /// Values that are written in the background.
    ///
    /// - Precondition: the `Sync` plugin is in use.
    /// - Source: pomelo's `app.get('sync')`.
    public var sync: SyncService {
        guard let service = service(SyncService.self) else {
            preconditionFailure("app.use(Sync(…)) is missing")
        }
        return service
    }
}
