// SPDX-License-Identifier: MIT
import Pomelo
import PomeloRedis

/// `redis.json` and the environment variables above it, with errors that name the file or the variable.
enum RedisSettings {
    static func load(_ configuration: Configuration) throws -> RedisConfiguration {
        let variables = configuration.variables(of: "redis")
        let isAbsent = !configuration.has("redis") && !variables.isEmpty
        let (section, path) = try isAbsent ? ([:], configuration.path("redis")) : configuration.strictSection("redis")
        try variables.check(RedisConfiguration.ownKeys.map { [$0] }, of: path)
        do {
            var redis = try JSONCoder.decode(RedisConfiguration.self, from: over(section, variables))
            redis.source = source(section, variables, path)
            return redis
        } catch let error as DecodingError {
            let isVariable = variables[error.keyPath] != nil
            throw PomeloError(.configuration, "\(isVariable ? variables.name(error.keyPath) : path): \(error.fault)")
        }
    }

    /// Where the address and the user were said, for messages about either.
    private static func source(_ section: JSON, _ variables: FileVariables, _ path: String) -> String {
        let keys = ["url"] + RedisConfiguration.serverKeys
        let names = keys.filter { variables[[$0]] != nil }.map { variables.name([$0]) }
        let isInFile = !namesPlace(variables) && keys.contains { section[$0] != nil && variables[[$0]] == nil }
        switch (names.isEmpty, isInFile) {
        case (true, true): return "configured in \(path)"
        case (true, false): return "the default: \(path) names no other"
        case (false, let both): return "configured by \(names.joined(separator: ", "))\(both ? " and in \(path)" : "")"
        }
    }

    private static func namesPlace(_ variables: FileVariables) -> Bool {
        RedisConfiguration.wholePlaceKeys.contains { variables[[$0]] != nil }
    }

    private static func over(_ section: JSON, _ variables: FileVariables) -> JSON {
        guard var object = section.object, !variables.isEmpty else { return section }
        // An address is whole: what the file says of another server, its password above all, is not for this one.
        if namesPlace(variables) {
            for key in ["url"] + RedisConfiguration.serverKeys { object[key] = nil }
        }
        let secrets = RedisConfiguration.passwordKeys
        if secrets.contains(where: { variables[[$0]] != nil }) { for key in secrets { object[key] = nil } }
        for key in RedisConfiguration.ownKeys {
            guard let text = variables[[key]] else { continue }
            let isText = RedisConfiguration.textKeys.contains(key)
            object[key] = isText ? .string(text) : FileVariables.value(text) ?? .string(text)
        }
        return .object(object)
    }
}

extension RedisConfiguration {
    /// What `CLIENT LIST` shows for a process: whose it is, and which.
    func clientName(of process: some CustomStringConvertible) -> String { "\(clientName ?? "pomelo"):\(process)" }
}

extension DecodingError {
    /// A text that names the key, and never the value.
    fileprivate var fault: String {
        if case .dataCorrupted(let context) = self { return context.debugDescription }
        return plainText
    }
}
