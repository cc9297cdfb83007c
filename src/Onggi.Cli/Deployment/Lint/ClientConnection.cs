using System.Text.Json;
using System.Text.RegularExpressions;
using Onggi.Client;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>A connection that a container is told to make.</summary>
/// <param name="Workload">Whose container.</param>
/// <param name="Name">The variable, or the setting in a file.</param>
/// <param name="Part">Where it stands.</param>
/// <param name="Object">The object to be mended: the workload's, or the ConfigMap with its settings.</param>
/// <param name="Servers">Hosts and ports.</param>
/// <param name="IsRedis">Whether it is to a Redis or a Sentinel; an HTTP address otherwise.</param>
internal sealed record ClientConnection(
    Workload Workload,
    string Name,
    YamlPart Part,
    ManifestObject Object,
    IReadOnlyList<RedisAddress> Servers,
    bool IsRedis
)
{
    /// <summary>How the connection string was read; <c>null</c> where there is only a host.</summary>
    public RedisClientOptions? Options { get; init; }

    /// <summary>Whether it stands in settings that several workloads share: then not each of them need use it.</summary>
    public bool IsShared { get; init; }

    /// <summary>Why it could not be read; <c>null</c> where it could.</summary>
    public string? Mistake { get; init; }
}

/// <summary>Finds connections in variables and in the settings that a container mounts.</summary>
internal static partial class ClientConnections
{
    private const int RedisPort = 6379;

    public static IReadOnlyList<ClientConnection> In(Manifests manifests)
    {
        var found = new List<ClientConnection>();
        foreach (var workload in manifests.Workloads)
        {
            foreach (var container in workload.AllContainers)
            {
                var variables = Variables(manifests, workload, container).ToList();
                foreach (var (owner, variable) in variables)
                    if (Read(workload, owner, variable, [.. variables.Select(pair => pair.Variable)]) is { } one)
                        found.Add(one);
                foreach (var word in container.Words.Where(word => IsAddress(word.Text)))
                    if (Read(workload, workload.Object, new Variable("an argument", word.Text, word), []) is { } one)
                        found.Add(one);
            }

            foreach (var (map, key, part) in manifests.TextsOf(workload))
                if (key.EndsWith(".json", StringComparison.Ordinal) && part.Text is { } text)
                    foreach (var (name, value) in Settings(text))
                        if (Read(workload, map, new Variable($"{key} {name}", value, part), []) is { } one)
                            found.Add(one);
        }

        var shared = found
            .GroupBy(one => (one.Object, one.Name))
            .Where(same => same.Select(one => one.Workload).Distinct().Count() > 1)
            .Select(same => same.Key)
            .ToHashSet();
        return [.. found.Select(one => one with { IsShared = shared.Contains((one.Object, one.Name)) })];
    }

    // Its own, and those that it takes from ConfigMaps, with the object in which each stands.
    private static IEnumerable<(ManifestObject Owner, Variable Variable)> Variables(
        Manifests manifests,
        Workload workload,
        Container container
    )
    {
        ManifestObject? Map(YamlPart reference) => manifests.Find("ConfigMap", reference["name"].Text, workload.Namespace);
        foreach (var variable in container.Variables)
        {
            var reference = variable.Part["valueFrom"]["configMapKeyRef"];
            if (variable.Value is not null)
                yield return (workload.Object, variable);
            else if (Map(reference) is { } map && map.Root["data"][reference["key"].Text ?? ""] is { Text: { } text } part)
                yield return (map, new Variable(variable.Name, text, part));
        }

        foreach (var source in container.Part["envFrom"].Items)
            if (Map(source["configMapRef"]) is { } map)
                foreach (var (name, part) in map.Root["data"].Fields)
                    if (part.Text is { } text)
                        yield return (map, new Variable((source["prefix"].Text ?? "") + name, text, part));
    }

    private static bool IsAddress(string? word) => word is not null && (HttpAddress().IsMatch(word) || RedisAddressForm().IsMatch(word));

    private static ClientConnection? Read(Workload workload, ManifestObject owner, Variable variable, IReadOnlyList<Variable> others)
    {
        var (name, part) = (variable.Name, variable.Part);
        // What Kubernetes puts in is not known here, and is a word, not a host.
        var text = Reference().Replace(variable.Value!.Trim(), "reference");
        if (HttpAddress().IsMatch(text))
            return Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Host.Any(char.IsLetter) && address.Host != "localhost"
                ? new ClientConnection(workload, name, part, owner, [new RedisAddress(address.Host, address.Port)], IsRedis: false)
                : null;
        var isNamed = RedisName().IsMatch(name);
        if (RedisAddressForm().IsMatch(text) || (isNamed && ListForm().IsMatch(text)))
            return OfString(workload, owner, name, part, text);
        if (!isNamed || !name.EndsWith("HOST", StringComparison.OrdinalIgnoreCase) || !HostForm().IsMatch(text))
            return null;
        var portName = string.Concat(name.AsSpan(0, name.Length - 4), "PORT");
        var port = others.FirstOrDefault(other => string.Equals(other.Name, portName, StringComparison.OrdinalIgnoreCase));
        var number = int.TryParse(port?.Value, out var given) ? given : RedisPort;
        return new ClientConnection(workload, name, part, owner, [new RedisAddress(text, number)], IsRedis: true);
    }

    private static ClientConnection OfString(Workload workload, ManifestObject owner, string name, YamlPart part, string text)
    {
        try
        {
            var options = RedisClientOptions.Parse(text);
            IReadOnlyList<RedisAddress> servers =
                options.Servers.Count > 0 ? options.Servers : [new RedisAddress(options.Host, options.Port)];
            return new ClientConnection(workload, name, part, owner, servers, IsRedis: true) { Options = options };
        }
        catch (FormatException problem)
        {
            // What stands before the options is the server all the same.
            var first = Server().Match(text);
            var port = int.TryParse(first.Groups["port"].Value, out var number) ? number : RedisPort;
            return new ClientConnection(
                workload,
                name,
                part,
                owner,
                first.Success ? [new RedisAddress(first.Groups["host"].Value, port)] : [],
                IsRedis: true
            )
            {
                Mistake = problem.Message,
            };
        }
    }

    // Texts of a JSON file of settings, by their path.
    private static IEnumerable<(string Name, string Value)> Settings(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(
                text,
                new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }
            );
            return [.. Texts("", document.RootElement)];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    private static IEnumerable<(string Name, string Value)> Texts(string path, JsonElement element) =>
        element.ValueKind switch
        {
            JsonValueKind.Object => element
                .EnumerateObject()
                .SelectMany(field => Texts(path.Length == 0 ? field.Name : $"{path}:{field.Name}", field.Value)),
            JsonValueKind.String => [(path, element.GetString()!)],
            _ => [],
        };

    [GeneratedRegex(@"\$\([A-Za-z_][\w.-]*\)", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Reference();

    [GeneratedRegex(@"\Ahttps?://", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex HttpAddress();

    [GeneratedRegex(
        @"\A(redis|valkey)s?(\+sentinel)?://",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex RedisAddressForm();

    [GeneratedRegex(
        @"redis|valkey|onggi|connectionstring",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex RedisName();

    [GeneratedRegex(@"\A[\w.-]+:\d+(,[\w.-]+:\d+)*(,.*)?\z", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ListForm();

    [GeneratedRegex(@"\A[A-Za-z][\w.-]*\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex HostForm();

    [GeneratedRegex(
        @"\A([a-z+]+://([^@/]*@)?)?(?<host>[\w.-]+)(:(?<port>\d+))?",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex Server();
}
