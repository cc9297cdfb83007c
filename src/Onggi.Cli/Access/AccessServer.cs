using Onggi.Client;

namespace Onggi.Cli.Access;

/// <summary>The users of a running Redis.</summary>
internal sealed class AccessServer(RedisClient client)
{
    private static readonly ReplyParser<bool> Exists = static (ref reader) => !reader.IsNull;

    /// <summary>Makes the users so, whatever they were before. Their connections stay; they may do from now on what they may. One round trip each.</summary>
    /// <exception cref="RedisException">Redis does not take it, or this user may not.</exception>
    public async Task SetAsync(IEnumerable<AccessUser> users, AccessSecrets secrets, CancellationToken cancellationToken)
    {
        foreach (var user in users)
        {
            RedisArg[] command = ["ACL", "SETUSER", user.Name, .. user.Definition(secrets.DigestsOf(user)).Select(rule => (RedisArg)rule)];
            await client.SendAsync(command, ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes the users to the aclfile.</summary>
    /// <returns><c>false</c> when Redis has none, or may not write it: in a cluster it is a Secret.</returns>
    public async Task<bool> TrySaveAsync(CancellationToken cancellationToken)
    {
        try
        {
            await client.SendAsync(["ACL", "SAVE"], ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (RedisException problem)
            when (problem.Message.Contains("not configured to use an ACL file", StringComparison.Ordinal)
                || problem.Message.Contains("error trying to save the ACLs", StringComparison.Ordinal)
            )
        {
            return false;
        }
    }

    /// <summary>Gives the user a second password.</summary>
    /// <returns>What to do next.</returns>
    /// <exception cref="ToolException">A change has begun already, or Redis has no such user.</exception>
    public async Task<string> BeginAsync(string user, AccessSecrets secrets, CancellationToken cancellationToken)
    {
        if (secrets.HasNext(user))
            throw new ToolException(
                $"{user} has a second password already. Give it to the services and finish: onggi acl rotate {user} --finish."
            );
        await NeedAsync(user, cancellationToken).ConfigureAwait(false);
        secrets.Begin(user);
        var digests = secrets.DigestsOf(new AccessUser(user, "", []));
        try
        {
            await client
                .SendAsync(["ACL", "SETUSER", user, "#" + digests[1]], ReplyParsers.Ignore, cancellationToken)
                .ConfigureAwait(false);
        }
        catch (RedisServerException)
        {
            // Redis does not know it: nobody must be given it.
            secrets.Abandon(user);
            throw;
        }

        return $"{user} can log in with both passwords. Give the services the one in {secrets.Folder}/{user}.next, let them start anew, then: onggi acl rotate {user} --finish.";
    }

    /// <summary>Takes the first password away.</summary>
    /// <returns>What has become of it.</returns>
    /// <exception cref="ToolException">No change has begun, or Redis has no such user.</exception>
    public async Task<string> FinishAsync(string user, AccessSecrets secrets, CancellationToken cancellationToken)
    {
        if (!secrets.HasNext(user))
            throw new ToolException($"{user} has one password only. Begin with: onggi acl rotate {user}.");
        await NeedAsync(user, cancellationToken).ConfigureAwait(false);
        var digests = secrets.DigestsOf(new AccessUser(user, "", []));
        // The new one again: whether it was kept over a restart is not known.
        await client
            .SendAsync(["ACL", "SETUSER", user, "#" + digests[1], "!" + digests[0]], ReplyParsers.Ignore, cancellationToken)
            .ConfigureAwait(false);
        secrets.Promote(user);
        return $"{user} can log in with the new password only; it is in {secrets.Folder}/{user} now. Connections that are open stay open.";
    }

    private async Task NeedAsync(string user, CancellationToken cancellationToken)
    {
        if (!await client.SendAsync(["ACL", "GETUSER", user], Exists, cancellationToken).ConfigureAwait(false))
            throw new ToolException($"{client.Options} has no user {user}. The users of the catalog: onggi acl show.");
    }
}
