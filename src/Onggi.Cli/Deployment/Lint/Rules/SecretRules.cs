using System.Text.RegularExpressions;

namespace Onggi.Cli.Deployment.Lint.Rules;

/// <summary>Secrets in plain sight. What is found is never said.</summary>
internal static partial class SecretRules
{
    private static readonly string[] SecretWords = ["password", "passwd", "pwd", "secret", "token", "apikey", "credential", "credentials"];
    private static readonly string[] KeyWords = ["api", "access", "signing", "private", "secret", "encryption", "hmac"];
    private static readonly string[] Endings = ["file", "path", "dir", "name", "url", "enabled", "ttl", "lifetime", "issuer", "audience"];

    public static IEnumerable<LintFinding> Check(LintContext context) =>
        [
            .. context.Manifests.Workloads.SelectMany(Variables),
            .. context.Manifests.Of("ConfigMap").SelectMany(Texts),
            .. context.Manifests.Objects.SelectMany(Annotations),
            .. context.Manifests.Of("Secret").SelectMany(Contents),
            .. context.Manifests.Workloads.SelectMany(workload => CommandLines(context, workload)),
        ];

    private static IEnumerable<LintFinding> Variables(Workload workload)
    {
        foreach (var container in workload.AllContainers)
        {
            foreach (var variable in container.Variables.Where(variable => variable.Value is not null))
                if ((IsSecretName(variable.Name) && IsLiteral(variable.Value!)) || HoldsSecret(variable.Value!))
                    yield return LintRules.PlainSecret.At(
                        workload.Object,
                        variable.Part,
                        $"the variable {variable.Name} of {container.Name} holds a secret itself.",
                        $"Write: valueFrom: {{ secretKeyRef: {{ name: …, key: … }} }}; in a connection string: password=$(VARIABLE) of such a one."
                    );
            foreach (var word in container.Words.Where(word => word.Text is { } text && HoldsSecret(text)))
                yield return LintRules.PlainSecret.At(
                    workload.Object,
                    word,
                    $"the command line of {container.Name} holds a secret itself.",
                    "Give it by a variable from a Secret, or by a file that is mounted."
                );
        }
    }

    // Of a redis.conf and of a file of users the rules of their own say it, line by line.
    private static IEnumerable<LintFinding> Texts(ManifestObject map) =>
        from field in map.Root["data"].Fields
        let text = field.Value.Text
        where
            text is not null
            && !field.Name.EndsWith(".conf", StringComparison.Ordinal)
            && !field.Name.EndsWith(".acl", StringComparison.Ordinal)
        where (IsSecretName(field.Name) && IsLiteral(text) && !text.Contains('\n', StringComparison.Ordinal)) || HoldsSecret(text)
        select LintRules.PlainSecret.At(
            map,
            field.Value,
            $"{field.Name} holds a secret.",
            "Put it into a Secret, and mount that, or refer to it."
        );

    private static IEnumerable<LintFinding> Annotations(ManifestObject found) =>
        from field in found.Metadata["annotations"].Fields
        let text = field.Value.Text
        where text is not null && ((IsSecretName(field.Name) && IsLiteral(text)) || HoldsSecret(text))
        select LintRules.PlainSecret.At(
            found,
            field.Value,
            $"the annotation {field.Name} holds a secret.",
            "Remove it, and make another secret."
        );

    private static IEnumerable<LintFinding> Contents(ManifestObject secret)
    {
        var fields = secret
            .Root["stringData"]
            .Fields.Concat(secret.Root["data"].Fields)
            .Where(field => field.Value.Text is { Length: > 0 })
            .ToList();
        if (fields.Count > 0)
            yield return LintRules.SecretInFile.At(
                secret,
                fields[0].Value,
                $"it has the values of {string.Join(", ", fields.Select(field => field.Name))}.",
                "Remove the file and its history, make other secrets, and apply them without writing them: onggi deploy secrets | kubectl apply -f -"
            );
    }

    private static IEnumerable<LintFinding> CommandLines(LintContext context, Workload workload)
    {
        foreach (var container in workload.AllContainers)
        foreach (var (role, part, text) in container.Commands())
            if (PasswordOption().IsMatch(text))
                yield return LintRules.PasswordOnCommandLine.At(
                    workload.Object,
                    part,
                    $"the {role} of {container.Name} puts the password on a command line.",
                    "Set REDISCLI_AUTH from the Secret, and leave -a away; name the user with --user."
                );
        foreach (var (map, key, part) in context.Manifests.TextsOf(workload))
            if (!key.EndsWith(".conf", StringComparison.Ordinal) && part.Text is { } text && PasswordOption().IsMatch(text))
                yield return LintRules.PasswordOnCommandLine.At(
                    map,
                    part,
                    $"the script {key} puts the password on a command line.",
                    "Set REDISCLI_AUTH from the Secret, and leave -a away; name the user with --user."
                );
    }

    private static bool IsSecretName(string name)
    {
        if (name == "REDISCLI_AUTH")
            return true;
        var words = Word().Matches(name).Select(match => match.Value.ToLowerInvariant()).ToList();
        if (words.Count == 0 || Endings.Contains(words[^1]))
            return false;
        return SecretWords.Contains(words[^1]) || (words[^1] == "key" && words.Count > 1 && KeyWords.Contains(words[^2]));
    }

    // Neither nothing, nor a reference, nor a path, nor what is meant to be filled in.
    private static bool IsLiteral(string value) =>
        value.Trim() is { Length: > 0 } text
        && text[0] is not ('$' or '/' or '<' or '{' or '…' or '*')
        && text is not ("true" or "false" or "none" or "reference");

    // Line by line, since what a comment says of a password is none.
    private static bool HoldsSecret(string text) =>
        PrivateKey().IsMatch(text)
        || text.Split('\n')
            .Where(line => line.TrimStart() is var begin && !begin.StartsWith('#') && !begin.StartsWith("//", StringComparison.Ordinal))
            .Any(line =>
                InUrl()
                    .Matches(line)
                    .Concat(InPairs().Matches(line))
                    .Concat(InFields().Matches(line))
                    .Any(match => IsLiteral(match.Groups["secret"].Value))
            );

    [GeneratedRegex("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Word();

    [GeneratedRegex(
        @"\b[a-z][a-z0-9+.-]*://[^\s/@:]*:(?<secret>[^\s/@]+)@",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex InUrl();

    // password=…, as connection strings and scripts have it.
    [GeneratedRegex(
        @"(?<![A-Za-z])(password|passwd|pwd|sentinelpassword|apikey)=[""']?(?<secret>[^\s,;""'&]+)",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex InPairs();

    // "password": "…" of JSON, password: … of YAML.
    [GeneratedRegex(
        @"(""\w*(password|passwd|secret|apikey)""\s*:\s*""(?<secret>[^""]+)"")|(\A\s*(-\s+)?[\w.-]*(password|passwd|secret|apikey):\s+[""']?(?<secret>[^\s""'#]+))",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex InFields();

    [GeneratedRegex("-----BEGIN [A-Z ]*PRIVATE KEY-----", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex PrivateKey();

    // redis-cli -a, --pass, and redis-server --requirepass, up to the end of the command.
    [GeneratedRegex(
        @"redis-cli\b[^|;&\n]*\s(-a|--pass)[\s=]|redis-server\b[^|;&\n]*\s--(requirepass|masterauth)\s",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex PasswordOption();
}
