with source as (
    select * from quality.crosswalk
),

final as (
    select
        omop_table,
        omop_id,
        source_id,
        resource_type,
        resource_id,
        version_id,
        part,
        pipeline_run_id
    from source
)

select * from final
