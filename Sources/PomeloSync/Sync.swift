// SPDX-License-Identifier: MIT
//
// PomeloSync: values that change often, kept in memory and brought to a database in the background.
// Reading order: Sync, SyncOptions, SyncKey, SyncSink, SyncService; SyncLine, SyncTable, SyncQueue, DueWheel,
// Confirmations; SyncWriter, DeadLetters, SyncOwner, VersionClock, SyncError; RedisSyncSink with Scripts/apply.lua.
import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// The plugin: gives an application its `sync`.
///
/// ```swift
/// try app.use(Sync { sinks in sinks.map(.bag, to: database) })
/// ```
public struct Sync: Plugin {
    /// Which sink has which key.
    @Loop public struct Sinks {
        fileprivate var byKey: [Text: any SyncSink] = [:]
        fileprivate var twice: [Text] = []

        /// Brings the values of a key to a sink; one sink may have many keys.
        public mutating func map<Value>(_ key: SyncKey<Value>, to sink: any SyncSink) {
            if byKey.updateValue(sink, forKey: key.name) != nil { twice.append(key.name) }
        }
    }

    /// `sync`.
    public let name = "sync"
    private let options: SyncOptions
    private let map: @Loop (inout Sinks) -> Void

    /// Maps keys to sinks; what `sync.json` says stands above the options given here.
    public init(options: SyncOptions = SyncOptions(), _ map: @escaping @Loop (inout Sinks) -> Void) {
        self.options = options
        self.map = map
    }

    /// Makes the service and loads it as a component.
    ///
    /// - Throws: `PomeloError` `.configuration` when `sync.json` is wrong, or a key is mapped twice.
    public func install(into application: Application, _: inout PluginOptions) throws {
        var sinks = Sinks()
        map(&sinks)
        if let name = sinks.twice.first {
            throw PomeloError(.configuration, "sync: the key \"\(name)\" is mapped twice")
        }
        let options = try application.options(options)
        try options.check()
        let service = SyncService(application.context, options, sinks.byKey)
        application.setService(service)
        try application.load(service)
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
