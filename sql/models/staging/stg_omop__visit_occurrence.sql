with source as (
    select * from omop.visit_occurrence
),

final as (
    select
        visit_occurrence_id,
        person_id,
        visit_concept_id,
        visit_source_value,
        visit_type_concept_id,
        visit_start_date,
        visit_start_datetime,
        visit_end_date,
        visit_end_datetime,
        discharged_to_concept_id,
        provider_id,
        care_site_id,
        source_id,
        pipeline_run_id
    from source
)

select * from final
