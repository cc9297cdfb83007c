using System.CommandLine;
using Onggi.Cli.Deployment.Secrets;
using Onggi.Cli.Output;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Commands;

/// <summary><c>onggi deploy secrets</c>: the Secrets of an environment, on standard output and nowhere else.</summary>
internal static class DeploySecretsCommand
{
    public static Command Create(ToolOutput output)
    {
        var options = new Options();
        var command = new Command(
            "secrets",
            "Prints the Secrets of an environment: users with digests, a password for each user, and for a replicated set its authority and certificate. What the cluster has is kept; nothing is ever written to a disk:\n\n"
                + "  kubectl get secrets -n NAMESPACE -o json | onggi deploy secrets -e ENVIRONMENT --existing - | kubectl apply --server-side -f -"
        );
        foreach (var option in options.All)
            command.Options.Add(option);
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, options, output, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, Options options, ToolOutput output, CancellationToken cancellationToken)
    {
        var catalog = parsed.GetValue(options.Catalog);
        var keyspace = Inputs.NeedKeyspace(catalog, parsed.GetValue(options.Environment));
        if (keyspace.Services.Count == 0)
            throw new ToolException(
                "the catalog names no services, so there is nobody to give passwords to: write them under \"services\"."
            );
        if (output.IsTerminal && !parsed.GetValue(options.Show))
            throw new ToolException(
                "what comes now is secret, and this is a terminal. Pipe it: … | kubectl apply --server-side -f -; or say --show."
            );
        var terms = Terms(
            parsed,
            options,
            keyspace.System,
            keyspace.Environment,
            DeployFilesCommand.IsReplicated(catalog, keyspace.Environment)
        );
        var existing = await ExistingAsync(parsed, options, terms.Namespace, output, cancellationToken).ConfigureAwait(false);
        var plan = new SecretPlan(keyspace, terms, existing, output.Time.GetUtcNow());
        var secrets = plan.Make();
        if (parsed.GetResult(options.Redis) is not null)
            await NeedLoadedAsync(terms, plan, parsed.GetValue(options.Redis) ?? [], cancellationToken).ConfigureAwait(false);
        foreach (var note in plan.Notes)
            await output.Error.WriteLineAsync($"onggi: {note}".AsMemory(), cancellationToken).ConfigureAwait(false);
        await output
            .Error.WriteLineAsync(
                $"onggi: {Words.Count(secrets.Count, "Secret", "Secrets")} of {terms.Namespace}, for: kubectl apply --server-side -f -".AsMemory(),
                cancellationToken
            )
            .ConfigureAwait(false);
        output.Text.Write(string.Join("---\n", secrets.Select(secret => secret.Manifest(terms.Namespace, keyspace.System))));
        return OnggiTool.Ok;
    }

    // Whoever was handed a password that some Redis does not know yet would be refused there.
    private static async Task NeedLoadedAsync(SecretTerms terms, SecretPlan plan, string[] connections, CancellationToken cancellationToken)
    {
        if (terms.Rotation?.Step != RotationStep.HandOut)
            throw new ToolException("--redis goes with --hand-out: it asks whether what is handed out has been loaded.");
        foreach (var connection in connections.DefaultIfEmpty())
        {
            var client = await Inputs.ConnectAsync(connection, cancellationToken).ConfigureAwait(false);
            await using (client.ConfigureAwait(false))
            {
                var lacking = new List<string>();
                foreach (var (user, digest) in plan.HandedOut)
                {
                    var known = await client.ExecuteAsync(["ACL", "GETUSER", user], cancellationToken).ConfigureAwait(false);
                    if (known.IsNull || known["passwords"]?.Items.Any(one => one.Text == digest) != true)
                        lacking.Add(user);
                }

                if (lacking.Count > 0)
                    throw new ToolException(
                        $"{client.Options} has not loaded the new password of {string.Join(' ', lacking)}: whoever got it now would be refused. The Redis pod has the file a minute or so after it was applied; then ACL LOAD, then this again."
                    );
            }
        }
    }

    private static SecretTerms Terms(ParseResult parsed, Options options, string system, string environment, bool isReplicated) =>
        new()
        {
            Namespace = parsed.GetValue(options.Namespace) ?? (environment == "production" ? system : $"{system}-{environment}"),
            IsReplicated = isReplicated && !parsed.GetValue(options.Single),
            ClusterDomain = parsed.GetRequiredValue(options.ClusterDomain),
            AlsoNames = parsed.GetValue(options.Names) ?? [],
            Rotation = Rotation(parsed, options),
            Life = Duration("--life", parsed.GetRequiredValue(options.Life)),
            RenewBefore = Duration("--renew-before", parsed.GetRequiredValue(options.RenewBefore)),
            Randoms = [.. (parsed.GetValue(options.Random) ?? []).Select(SecretAndKey)],
            SigningKeys = parsed.GetValue(options.SigningKey) ?? [],
        };

    private static RotationTerms? Rotation(ParseResult parsed, Options options)
    {
        var steps = options.Steps.Where(step => parsed.GetResult(step.Option) is not null).ToList();
        return steps switch
        {
            [] => null,
            [var (option, step)] => new RotationTerms(step, parsed.GetValue(option) ?? []),
            _ => throw new ToolException(
                "--rotate, --hand-out and --finish are steps of one change: each is applied, and has reached the pods, before the next."
            ),
        };
    }

    private static async Task<IReadOnlyDictionary<string, KubernetesSecret>> ExistingAsync(
        ParseResult parsed,
        Options options,
        string kubernetesNamespace,
        ToolOutput output,
        CancellationToken cancellationToken
    )
    {
        var (file, isNew) = (parsed.GetValue(options.Existing), parsed.GetValue(options.New));
        switch (file)
        {
            case null when isNew:
                return new Dictionary<string, KubernetesSecret>();
            case null:
                throw new ToolException(
                    $"without what the cluster has, every password would be another one, and everybody would be locked out. Say it: kubectl get secrets -n {kubernetesNamespace} -o json | onggi deploy secrets … --existing -; or --new, where there is nothing yet."
                );
            case not null when isNew:
                throw new ToolException("--new says that there is nothing yet, --existing what there is: choose one.");
            case "-":
                return KubernetesSecret.Read(await output.ReadPipeAsync(cancellationToken).ConfigureAwait(false), kubernetesNamespace);
            default:
                return KubernetesSecret.Read(
                    Inputs.Read(file, "Write there what kubectl get secrets -o json says, or pipe it: --existing -"),
                    kubernetesNamespace
                );
        }
    }

    private static TimeSpan Duration(string option, string text) =>
        CatalogWords.TryDuration(text, out var duration) && duration > TimeSpan.Zero
            ? duration
            : throw new ToolException($"{option} \"{text}\" is no duration. Write {CatalogWords.GuessDuration(text)}.");

    private static (string Name, string Key) SecretAndKey(string text) =>
        text.Split('/') is [{ Length: > 0 } name, { Length: > 0 } key]
            ? (name, key)
            : throw new ToolException($"--random \"{text}\" is no Secret and key. Write: phonebill-personal/secret");

    private sealed class Options
    {
        public Option<string?> Catalog { get; } = Inputs.Catalog("It is needed here.");

        public Option<string?> Environment { get; } = Inputs.Environment();

        public Option<string?> Namespace { get; } =
            new("--namespace", "-n")
            {
                Description = "The namespace; the system's name for production, SYSTEM-ENVIRONMENT otherwise.",
                HelpName = "NAME",
            };

        public Option<string?> Existing { get; } =
            new("--existing")
            {
                Description = "What the cluster has, as kubectl get secrets -o json says; - for standard input.",
                HelpName = "FILE",
            };

        public Option<bool> New { get; } = new("--new") { Description = "There is nothing yet: all is made." };

        public Option<string[]?> Rotate { get; } =
            OfUsers(
                "--rotate",
                "Changes passwords of these users, or of all, without refusing anybody. First step: Redis is to take a second one beside the first, which nobody has yet. Then: apply, ACL LOAD, --hand-out."
            );

        public Option<string[]?> HandOut { get; } =
            OfUsers(
                "--hand-out",
                "Second step, when every Redis has loaded both: the second password is handed out, the first one opens as well. Then: apply, start who is told it at its start, --finish."
            );

        public Option<string[]?> Finish { get; } =
            OfUsers("--finish", "Third step, when everybody has the second password: the first one goes. Then: apply, ACL LOAD.");

        public Option<string[]?> Redis { get; } =
            new("--redis", "-r")
            {
                Description =
                    $"With --hand-out: asks this Redis first, as the operator, whether it has loaded what is handed out, and refuses where it has not; of a replicated set name each server. Without a value the one of the variable {Inputs.RedisVariable}.",
                HelpName = "CONNECTION",
                Arity = ArgumentArity.ZeroOrMore,
                AllowMultipleArgumentsPerToken = true,
            };

        public Option<bool> Single { get; } =
            new("--single") { Description = "For one Redis without TLS. That is so for the catalog's default environment anyway." };

        public Option<string> Life { get; } =
            new("--life")
            {
                Description = "How long the certificate holds.",
                HelpName = "DURATION",
                DefaultValueFactory = _ => "365d",
            };

        public Option<string> RenewBefore { get; } =
            new("--renew-before")
            {
                Description = "How long before its end it is renewed.",
                HelpName = "DURATION",
                DefaultValueFactory = _ => "60d",
            };

        public Option<string[]?> Names { get; } =
            new("--name") { Description = "A further name or address for the certificate; may be given several times.", HelpName = "NAME" };

        public Option<string> ClusterDomain { get; } =
            new("--cluster-domain")
            {
                Description = "What names of the cluster end in.",
                HelpName = "DOMAIN",
                DefaultValueFactory = _ => "cluster.local",
            };

        public Option<string[]?> Random { get; } =
            new("--random")
            {
                Description =
                    "A further Secret with something random under this key, phonebill-personal/secret say; may be given several times. Never rotated.",
                HelpName = "SECRET/KEY",
            };

        public Option<string[]?> SigningKey { get; } =
            new("--signing-key")
            {
                Description =
                    "A further Secret with a key that signs tokens (token.pem), and NAME-public with its public part; may be given several times. Never rotated.",
                HelpName = "SECRET",
            };

        public Option<bool> Show { get; } = new("--show") { Description = "Prints to a terminal, too." };

        public IEnumerable<(Option<string[]?> Option, RotationStep Step)> Steps =>
            [(Rotate, RotationStep.Add), (HandOut, RotationStep.HandOut), (Finish, RotationStep.Drop)];

        public IEnumerable<Option> All =>
            [
                Catalog,
                Environment,
                Namespace,
                Existing,
                New,
                Rotate,
                HandOut,
                Finish,
                Redis,
                Single,
                Life,
                RenewBefore,
                Names,
                ClusterDomain,
                Random,
                SigningKey,
                Show,
            ];

        private static Option<string[]?> OfUsers(string name, string description) =>
            new(name)
            {
                Description = description,
                HelpName = "USER",
                Arity = ArgumentArity.ZeroOrMore,
                AllowMultipleArgumentsPerToken = true,
            };
    }
}
