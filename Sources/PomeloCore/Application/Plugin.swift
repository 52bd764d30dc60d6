// SPDX-License-Identifier: MIT
import PomeloJSON
public import PomeloLoop

/// Adds components, event listeners, handlers and services to an application.
///
/// ```swift
/// struct OnlineTime: Plugin {
///     let name = "onlineTime"
///     func install(into app: Application, _ options: inout PluginOptions) throws {
///         let watch = OnlineWatch(app, try options.take("onlineTime", as: OnlineWatch.Options.self))
///         try app.load(watch)   // a component: start, afterStart, stop
///         app.listen(watch)     // an event listener: bindSession, closeSession, …
///     }
/// }
/// try app.use(OnlineTime(), ["onlineTime": ["report": 60]])
/// ```
///
/// - Source: pomelo's plugin guide: components and events, options keyed by the component's name.
@Loop public protocol Plugin {
    /// Unique in its application.
    var name: String { get }
    /// Called by `use`; throws when its options are wrong.
    func install(into application: Application, _ options: inout PluginOptions) throws
}

/// The options given with a plugin, keyed by the names of its components.
public struct PluginOptions: Sendable {
    private let plugin: String
    private var options: JSONObject

    init(_ plugin: String, _ options: JSONObject) {
        self.plugin = plugin
        self.options = options
    }

    /// One component's options as its own type; `{}` when there are none.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the plugin, the component and the key: one of the wrong kind,
    ///   one missing, or one that the type does not have.
    public mutating func take<Options: Decodable>(
        _ component: String, as type: Options.Type = Options.self
    ) throws -> Options {
        try take(component) { try JSONCoder.decode(type, from: $0, unknownKeys: .refused) }
    }

    /// One component's options over their defaults: every key may be left out; see `JSONCoder.decode(from:over:)`.
    ///
    /// - Throws: `PomeloError` `.configuration`, as `take(_:as:)`.
    public mutating func take<Options: Codable>(_ component: String, over defaults: Options) throws -> Options {
        try take(component) { try JSONCoder.decode(from: $0, over: defaults, unknownKeys: .refused) }
    }

    private mutating func take<Options>(_ component: String, _ decode: (JSON) throws -> Options) throws -> Options {
        let value = options[component] ?? [:]
        options[component] = nil
        do {
            return try decode(value)
        } catch let error as DecodingError {
            throw PomeloError(.configuration, "options of \(plugin), \(component): \(error.plainText)", cause: error)
        }
    }

    func finish() throws {
        guard options.isEmpty else {
            let names = options.keys.joined(separator: ", ")
            throw PomeloError(.configuration, "options of \(plugin): it has no component \(names) that takes options")
        }
    }
}
