// SPDX-License-Identifier: MIT
//
// PomeloGlobalChannel: channels whose members are connected to different servers.
// Reading order: GlobalChannel, GlobalChannelService, ChannelProcedures, OwnedChannels, OwnedChannel, ChannelStore,
// RedisChannelStore, ChannelPublisher, ChannelBacklog.
public import PomeloCore
import PomeloLoop
public import PomeloRedis

/// The plugin: gives an application its `globalChannel`.
public struct GlobalChannel: Plugin {
    /// How the plugin works; `globalChannel.json` has the same keys.
    public struct Options: Sendable {
        /// Of the Redis keys; clusters that share one Redis need different ones.
        public var prefix = "POMELO:CHANNEL"
        /// Removes this server's own published members before it starts; leases make it unnecessary.
        public var cleanOnStartUp = false
        /// An `add` before the user's `bind` waits this long for it; zero refuses it.
        public var pending = Duration.zero
        /// The server type that hears of users lost with a server; nil: the server that cleans up.
        public var lostServerType: ServerType?

        /// The defaults written at each property.
        public init() {}

        /// Reads `globalChannel.json`; unknown keys are an error.
        public init(_ reader: OptionReader) throws {
            var reader = reader
            if let value = try reader.string("prefix") { prefix = value }
            if let value = try reader.bool("cleanOnStartUp") { cleanOnStartUp = value }
            if let value = try reader.seconds("pendingSeconds") { pending = value }
            lostServerType = try reader.string("lostServerType").map { ServerType($0) }
            try reader.finish()
        }
    }

    /// `globalChannel`.
    public let name = "globalChannel"
    private let options: Options
    private let store: any ChannelStore

    /// Publishes memberships in Redis.
    public init(redis: any RedisPort, options: Options = Options()) {
        self.init(store: RedisChannelStore(redis: redis, prefix: options.prefix), options: options)
    }

    /// Publishes memberships in a store of the application's own.
    public init(store: any ChannelStore, options: Options = Options()) {
        self.store = store
        self.options = options
    }

    /// Makes the service and loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` when the prefix holds a brace, or the store needs a cluster membership
    ///   and there is none.
    public func install(into application: Application, _: inout PluginOptions) throws {
        try store.check(options.prefix, for: name, in: application)
        let service = GlobalChannelService(application, store, options)
        application.setService(service)
        try application.load(service)
    }
}

extension Application {
    /// The cluster-wide channels.
    ///
    /// - Precondition: the `GlobalChannel` plugin is in use.
    public var globalChannel: GlobalChannelService {
        guard let service = service(GlobalChannelService.self) else {
            preconditionFailure("app.use(GlobalChannel(…)) is missing")
        }
        return service
    }
}
