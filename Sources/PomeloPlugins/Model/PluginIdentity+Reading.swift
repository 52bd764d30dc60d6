// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloExtensions
public import PomeloJSON

extension PluginIdentity {
    /// Bytes of an answer of `/v1/identify`, or of any other that the platform itself asks for.
    static let maxBytes = 64 << 10
    private static let maxPoints = 64
    private static let maxBindings = 16

    /// Reads an answer of `/v1/identify`, in any of the spellings there were.
    ///
    /// ```
    /// at first  addons: [{endpoint, desc}]
    ///           main_plugin: [{id, version, endpoints: [{addons, endpoint}]}]
    /// 2021      addons_points: [{addons_point, desc}]
    ///           main_plugins: [{id, version, endpoints: [{addons_point, endpoint}]}]
    /// 2022      addons_point: [{name, desc}]
    ///           implemented_plugin: [{plugin: {id, version}, addons: [{addons_point, implemented_endpoint}]}]
    /// ```
    ///
    /// - Throws: `PluginAnswer` 400, which names what is wrong.
    /// - Source: tKeel's releases of 2021 and 2022.
    public init(_ answer: JSON) throws(PluginAnswer) {
        let reader = IdentityReader(answer, "identify")
        id = try reader.id("plugin_id")
        guard let version = try reader.version("version") else { throw reader.wrong("version is missing") }
        self.version = version
        platform = try reader.version("tkeel_version")
        points = try reader.list(["addons", "addons_points", "addons_point"], Self.maxPoints).each(Self.point)
        bindings = try reader.list(["main_plugin", "main_plugins", "implemented_plugin"], Self.maxBindings)
            .each(Self.binding)
        guard Set(points.map(\.name)).count == points.count else { throw reader.wrong("a point is declared twice") }
        guard Set(bindings.map(\.owner)).count == bindings.count else {
            throw reader.wrong("a main plugin is named twice")
        }
        guard !bindings.contains(where: { $0.owner == id }) else { throw reader.wrong("it extends itself") }
    }

    private static func point(_ reader: IdentityReader) throws(PluginAnswer) -> PluginPoint {
        let mode: ExtensionMode
        if let text = try reader.text(["mode"]) {
            guard let named = ExtensionMode(rawValue: text) else { throw reader.wrong("mode is none") }
            mode = named
        } else {
            mode = .single
        }
        return PluginPoint(
            name: try reader.point(["endpoint", "addons_point", "name"]), mode: mode,
            note: try reader.text(["desc"], limit: 1024) ?? "")
    }

    private static func binding(_ reader: IdentityReader) throws(PluginAnswer) -> PluginBinding {
        let plugin = try reader.object("plugin") ?? reader
        let endpoints = try reader.list(["endpoints", "addons"], maxPoints).each(endpoint)
        guard !endpoints.isEmpty else { throw reader.wrong("endpoints is missing or empty") }
        guard Set(endpoints.map(\.point)).count == endpoints.count else {
            throw reader.wrong("a point is implemented twice")
        }
        return PluginBinding(
            owner: try plugin.owner("id"), version: try plugin.version("version"), endpoints: endpoints)
    }

    private static func endpoint(_ reader: IdentityReader) throws(PluginAnswer) -> PluginEndpoint {
        PluginEndpoint(
            point: try reader.point(["addons", "addons_point"]),
            path: try reader.path(["endpoint", "implemented_endpoint"]),
            priority: try reader.number("priority", in: -1_000_000...1_000_000) ?? 100)
    }
}

/// Reads one object of an answer, and knows where it is.
private struct IdentityReader {
    private static let maxTextBytes = 128
    private let object: JSONObject
    private let place: String

    init(_ value: JSON, _ place: String) {
        object = value.object ?? JSONObject()
        self.place = place
    }

    func wrong(_ what: String) -> PluginAnswer { PluginAnswer(400, "\(place): \(what)") }

    /// The first of the keys that is there.
    private func value(_ keys: [String]) -> JSON? {
        keys.lazy.compactMap { object[$0] }.first { !$0.isNull }
    }

    func text(_ keys: [String], limit: Int = maxTextBytes) throws(PluginAnswer) -> String? {
        guard let value = value(keys) else { return nil }
        guard let text = value.string else { throw wrong("\(keys[0]) is no text") }
        guard text.utf8.count <= limit else { throw wrong("\(keys[0]) has more than \(limit) bytes") }
        return text
    }

    func id(_ key: String) throws(PluginAnswer) -> PluginID {
        guard let text = try text([key]) else { throw wrong("\(key) is missing") }
        guard let id = PluginID.checked(text) else { throw wrong("\(key) \(text.forLog) is no id of a plugin") }
        return id
    }

    /// An id of whoever has points: also the platform's own.
    func owner(_ key: String) throws(PluginAnswer) -> PluginID {
        guard let text = try text([key]) else { throw wrong("\(key) is missing") }
        if PlatformOwner(rawValue: text) != nil { return PluginID(text) }
        return try id(key)
    }

    func version(_ key: String) throws(PluginAnswer) -> PluginVersion? {
        guard let text = try text([key]), !text.isEmpty else { return nil }
        guard let version = PluginVersion(text) else { throw wrong("\(key) \(text.forLog) is no version") }
        return version
    }

    func point(_ keys: [String]) throws(PluginAnswer) -> PointName {
        guard let text = try text(keys), !text.isEmpty else { throw wrong("\(keys[0]) is missing") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "/") }) else {
            throw wrong("\(keys[0]) \(text.forLog) is no name of a point")
        }
        return PointName(text)
    }

    func path(_ keys: [String]) throws(PluginAnswer) -> String {
        guard let text = try text(keys, limit: 512), !text.isEmpty else { throw wrong("\(keys[0]) is missing") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "#") }) else {
            throw wrong("\(keys[0]) \(text.forLog) is no path")
        }
        return text.hasPrefix("/") ? text : "/" + text
    }

    func number(_ key: String, in range: ClosedRange<Int>) throws(PluginAnswer) -> Int? {
        guard let value = value([key]) else { return nil }
        guard let number = value.int.flatMap(Int.init(exactly:)), range.contains(number) else {
            throw wrong("\(key) is no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func object(_ key: String) throws(PluginAnswer) -> IdentityReader? {
        guard let value = value([key]) else { return nil }
        guard value.object != nil else { throw wrong("\(key) is no object") }
        return IdentityReader(value, "\(place).\(key)")
    }

    func list(_ keys: [String], _ limit: Int) throws(PluginAnswer) -> [IdentityReader] {
        guard let key = keys.first(where: { object[$0].map { !$0.isNull } ?? false }) else { return [] }
        guard let values = object[key]?.array else { throw wrong("\(key) is no list") }
        guard values.count <= limit else { throw wrong("\(key) has more than \(limit) entries") }
        guard values.allSatisfy({ $0.object != nil }) else { throw wrong("\(key) has an entry that is no object") }
        return values.enumerated().map { IdentityReader($1, "\(place).\(key)[\($0)]") }
    }
}

extension Array {
    /// `map` that throws answers.
    fileprivate func each<Value>(_ body: (Element) throws(PluginAnswer) -> Value) throws(PluginAnswer) -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try body(element)) }
        return values
    }
}
