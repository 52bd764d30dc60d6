// SPDX-License-Identifier: MIT
//
// PomeloStatus: who is online, and where; one identity in the whole cluster.
// Reading order: Status, StatusService, +Questions, Places, +Binding, StatusPublisher, StatusStore, MemoryStatusStore,
// RedisStatusStore, +CleanUp, +Cluster, Scripts/*.lua.
public import PomeloCore
import PomeloLoop
import PomeloPublication
public import PomeloRedis

/// The plugin: gives an application its `status`.
public struct Status: Plugin {
    /// Who may bind a user id that is bound already.
    public enum SingleSession: String, Sendable, CaseIterable {
        /// Anybody: a user has any number of sessions.
        case allow
        /// Nobody: the older session stays, the new `bind` throws.
        case refuse
    }

    /// How the plugin works; `status.json` has the same keys.
    public struct Options: Sendable {
        /// Of the Redis keys; clusters that share one Redis need different ones.
        public var prefix = "POMELO:STATUS"
        /// Removes what this server's former instances published; leases make it unnecessary.
        public var cleanOnStartUp = false
        /// Who may bind a user id that is bound already, anywhere in the cluster.
        public var singleSession = SingleSession.allow

        /// The defaults written at each property.
        public init() {}
    }

    /// `status`.
    public let name = "status"
    private let options: Options
    /// Made when the options are known.
    private let makeStore: @Loop (Options) -> any StatusStore

    /// Publishes status in Redis; what `status.json` says stands above the options given here.
    public init(redis: any RedisPort, options: Options = Options()) {
        makeStore = { RedisStatusStore(redis: redis, prefix: $0.prefix) }
        self.options = options
    }

    /// Publishes status in a store of the application's own.
    public init(store: any StatusStore, options: Options = Options()) {
        makeStore = { _ in store }
        self.options = options
    }

    /// Makes the service and loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` when `status.json` is wrong, the prefix holds a brace, or the store
    ///   needs a cluster membership and there is none.
    public func install(into application: Application, _: inout PluginOptions) throws {
        let options = try application.options(options)
        let store = makeStore(options)
        try store.check(options.prefix, for: name, application.membership)
        let service = StatusService(application.context, store, options)
        application.setService(service)
        try application.load(service)
    }
}

extension Status.Options: FileOptions {
    /// `status.json`.
    public static var fileName: String { "status" }

    /// Reads `prefix`, `cleanOnStartUp` and `singleSession`.
    public mutating func read(_ reader: inout OptionReader) throws {
        prefix = try reader.string("prefix") ?? prefix
        cleanOnStartUp = try reader.bool("cleanOnStartUp") ?? cleanOnStartUp
        singleSession = try reader.choice("singleSession") ?? singleSession
    }
}

extension Application {
    /// Who is online, and where.
    ///
    /// - Precondition: the `Status` plugin is in use.
    public var status: StatusService {
        guard let service = service(StatusService.self) else {
            preconditionFailure("app.use(Status(…)) is missing")
        }
        return service
    }
}
