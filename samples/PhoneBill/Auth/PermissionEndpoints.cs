using PhoneBill.Contracts;

namespace PhoneBill.Auth;

public static class PermissionEndpoints
{
    public static void MapPermissions(this WebApplication app)
    {
        var api = app.MapGroup("/api/permissions").RequireAuthorization();

        api.MapGet(
                "/{userId}",
                async (string userId, HttpContext http, CachedReads reads, CancellationToken cancellationToken) =>
                    http.Answer(await reads.PermissionsAsync(userId, cancellationToken), $"There is no user '{userId}'.")
            )
            .Answers<Permissions>("What a user may do.");

        var writing = api.MapGroup("/{userId}/{permission}").RequirePermission("permission.write");

        writing
            .MapPut(
                "/",
                (string userId, string permission, PermissionChanges changes, CancellationToken cancellationToken) =>
                    changes.SetAsync(userId, permission, granted: true, cancellationToken)
            )
            .AnswersNothing("Grants a permission; every service knows at once.");
        writing
            .MapDelete(
                "/",
                (string userId, string permission, PermissionChanges changes, CancellationToken cancellationToken) =>
                    changes.SetAsync(userId, permission, granted: false, cancellationToken)
            )
            .AnswersNothing("Takes a permission away; every service knows at once.");
    }
}
