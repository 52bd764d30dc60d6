// SPDX-License-Identifier: MIT
//
// PomeloStatus: who is online, and where; one identity in the whole cluster.
// Reading order: Status, StatusService, StatusService+Binding, StatusPublisher, StatusStore, RedisStatusStore.
public import PomeloCore
import PomeloLoop
public import PomeloRedis

/// The plugin: gives an application its `status`.
public struct Status: Plugin {
    /// Who may bind a user id that is bound already.
    public enum SingleSession: String, Sendable {
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

        /// Reads `status.json`; unknown keys are an error.
        public init(_ reader: OptionReader) throws {
            var reader = reader
            if let value = try reader.string("prefix") { prefix = value }
            if let value = try reader.bool("cleanOnStartUp") { cleanOnStartUp = value }
            if let value = try reader.string("singleSession") {
                guard let policy = SingleSession(rawValue: value) else {
                    throw PomeloError(.configuration, "singleSession must be \"allow\" or \"refuse\", not \"\(value)\"")
                }
                singleSession = policy
            }
            try reader.finish()
        }
    }

    /// `status`.
    public let name = "status"
    private let options: Options
    private let store: any StatusStore

    /// Publishes status in Redis.
    public init(redis: any RedisPort, options: Options = Options()) {
        self.init(store: RedisStatusStore(redis: redis, prefix: options.prefix), options: options)
    }

    /// Publishes status in a store of the application's own.
    public init(store: any StatusStore, options: Options = Options()) {
        self.store = store
        self.options = options
    }

    /// Makes the service and loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` when the prefix holds a brace, or the store needs a cluster membership
    ///   and there is none.
    public func install(into application: Application, _: inout PluginOptions) throws {
        try store.check(options.prefix, for: name, in: application)
        let service = StatusService(application, store, options)
        application.setService(service)
        try application.load(service)
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
