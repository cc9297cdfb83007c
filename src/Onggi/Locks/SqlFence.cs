using System.Data.Common;

namespace Onggi.Locks;

/// <summary>The guard for data in a SQL database: the row keeps the greatest fence that wrote it, and the statement compares.</summary>
/// <example>
/// <code>
/// command.CommandText = "UPDATE invoice SET total = @total, fence = @fence WHERE id = @id AND fence &lt;= @fence";
/// if (!await command.ExecuteFencedAsync(lease.Fence, cancellationToken: stop))
///     return; // A later holder was here.
/// </code>
/// </example>
public static class SqlFence
{
    /// <summary>Executes a statement with the fence as a parameter. It must set the row's fence to it, and ask that the row's is not greater.</summary>
    /// <param name="command">The statement, its other parameters set. It runs in its own transaction, if it has one.</param>
    /// <param name="fence">The fence of the lease under which it is executed.</param>
    /// <param name="parameterName">What the statement calls the fence.</param>
    /// <param name="cancellationToken">Cancels the statement.</param>
    /// <returns><c>false</c> when it changed no row: a later holder has written it (or there is no such row).</returns>
    /// <exception cref="ArgumentException">The statement does not speak of the fence, so it would guard nothing.</exception>
    public static async ValueTask<bool> ExecuteFencedAsync(
        this DbCommand command,
        Fence fence,
        string parameterName = "@fence",
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(command);
        ArgumentException.ThrowIfNullOrEmpty(parameterName);
        if (!command.CommandText.Contains(parameterName, StringComparison.Ordinal))
            throw new ArgumentException(
                $"The statement does not use {parameterName}: it would write whoever holds the lock. Write \"… SET …, fence = {parameterName} WHERE … AND fence <= {parameterName}\".",
                nameof(command)
            );
        if (!command.Parameters.Contains(parameterName))
        {
            var parameter = command.CreateParameter();
            parameter.ParameterName = parameterName;
            command.Parameters.Add(parameter);
        }

        command.Parameters[parameterName].Value = fence.Value;
        return await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(Rt.Capture) > 0;
    }
}
